import json

import pytest
import torch

from rung.training.environment import differences, environment

GPU = {
    **{"rung": "0.1.0", "torch": "2.15.0", "numpy": "2.4.6", "python": "3.11", "system": "Linux", "machine": "x86_64", "processor": "Xeon"},
    **{"capability": "AVX512", "threads": 8, "onednn": True, "device": "cuda", "device_name": "H200", "cuda": "13.2", "cudnn": 92000},
    **{"deterministic": True, "matmul_precision": "highest", "cublas_workspace": ":4096:8", "cudnn_benchmark": False, "cudnn_tf32": True},
    **{"cpu_settings": None, "world_size": 1},
}
PLANTED = [
    ("rung", "0.2.0", "the version of rung was 0.1.0 and is 0.2.0"),
    ("torch", "2.13.0", "the version of torch was 2.15.0 and is 2.13.0"),
    ("numpy", "2.5.0", "the version of numpy was 2.4.6 and is 2.5.0"),
    ("python", "3.12", "the version of Python was 3.11 and is 3.12"),
    ("system", "Darwin", "the operating system was Linux and is Darwin"),
    ("machine", "aarch64", "the kind of machine was x86_64 and is aarch64"),
    ("processor", "EPYC", "the processor was Xeon and is EPYC"),
    ("capability", "AVX2", "the vector instructions that torch uses was AVX512 and is AVX2"),
    ("threads", 2, "the number of threads was 8 and is 2"),
    ("onednn", False, "whether torch uses oneDNN was True and is False"),
    ("device", "cpu", "the device was cuda and is cpu"),
    ("device_name", "A100", "the name of the GPU was H200 and is A100"),
    ("cuda", "12.8", "the version of CUDA was 13.2 and is 12.8"),
    ("cudnn", None, "the version of cuDNN was 92000 and is none"),
    ("deterministic", False, "whether torch is held to deterministic algorithms was True and is False"),
    ("matmul_precision", "high", "the precision of float32 products was highest and is high"),
    ("cublas_workspace", None, "CUBLAS_WORKSPACE_CONFIG was :4096:8 and is none"),
    ("cudnn_benchmark", True, "whether cuDNN chooses algorithms by the clock was False and is True"),
    ("cudnn_tf32", False, "whether cuDNN may compute in TF32 was True and is False"),
    ("cpu_settings", "MKL_CBWR=AVX2", "the settings of oneDNN, MKL and torch for the processor was none and is MKL_CBWR=AVX2"),
    ("world_size", 4, "the number of processes that train together was 1 and is 4"),
]


@pytest.mark.parametrize(("name", "value", "words"), PLANTED)
def test_each_planted_mismatch_is_named(name, value, words):
    assert differences(GPU, {**GPU, name: value}) == [words]


def test_every_fact_has_a_planted_mismatch():
    assert [name for name, _, _ in PLANTED] == list(environment()) == list(GPU)


def test_equal_facts_have_no_difference():
    assert differences(GPU, dict(GPU)) == []


def test_several_mismatches_are_all_named_and_missing_facts_too():
    old = {name: value for name, value in GPU.items() if name != "cuda"}
    assert differences(old, {**GPU, "threads": 2, "later": 1}) == [
        "the number of threads was 8 and is 2",
        "the version of CUDA was not recorded and is 13.2",
        "later was not recorded and is 1",
    ]


def test_what_was_not_recorded_and_is_none_is_no_difference():
    assert differences({name: value for name, value in GPU.items() if name != "cpu_settings"}, GPU) == []


def test_settings_of_the_processor_are_seen(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    assert environment()["cpu_settings"] == "DNNL_MAX_CPU_ISA=AVX2 MKL_CBWR=COMPATIBLE"


def test_the_facts_are_those_of_this_process_and_come_back_from_json():
    facts = environment()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["processor"]
    assert json.loads(json.dumps(facts)) == facts
    assert differences(facts, environment()) == []


def test_a_changed_number_of_threads_is_seen():
    before = torch.get_num_threads()
    old = environment()
    torch.set_num_threads(before + 1)
    try:
        assert differences(old, environment()) == [f"the number of threads was {before} and is {before + 1}"]
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_is_named():
    facts = environment("cuda:0")
    assert facts["device"] == "cuda"
    assert facts["device_name"] == torch.cuda.get_device_name(0)
    assert facts["cuda"] == torch.version.cuda
