import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung import recipe as recipes
from rung.errors import RecipeError
from rung.recipe import CNN, MLP, OwnNetwork, Recipe, Split, Train
from rung.recipe.right import right
from rung.recipe.words import fields
from rung.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("comments", [False, True])
def test_every_recipe_comes_back_from_its_toml(name: str, comments: bool, tmp_path: Path) -> None:
    recipe = RECIPES[name]()
    path = tmp_path / "recipe.toml"
    path.write_text(recipes.to_toml(recipe, comments))
    assert recipes.from_toml(path) == recipe


@given(st.text(), st.text(), st.floats(1e-9, 10, allow_nan=False))
def test_any_text_and_number_comes_back(why: str, notes: str, rate: float) -> None:
    recipe = Recipe(why=why, notes=notes, train=Train(learning_rate=rate))
    assert recipes.parse(tomllib.loads(recipes.to_toml(recipe))) == recipe


def test_every_field_has_a_description() -> None:
    for network in (CNN(), MLP(), OwnNetwork(source="a.py:b")):
        for name, text in recipes.describe(Recipe(network=network)).items():
            assert text or name.endswith("kind"), name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train.epoch": 3}, "there is no field 'train.epoch': did you mean 'train.epochs'"),
        ({"epocs": 3}, "there is no field 'epocs': did you mean 'train.epochs'?"),
        ({"train.dense": [3]}, "there is no field 'train.dense': did you mean 'network.dense'?"),
        ({"network.kind": "mlp", "network.filters": [3]}, "there is no field 'network.filters': network has start, dense, dense_dropout, "),
        ({"quux": 3}, "there is no field 'quux': the parts are data, pixels, split, augment, network, train, compute, and `rung recipes default` shows"),
        ({"network.kind": "own"}, "network.source must be set"),
        ({"train.epochs": 0}, "train.epochs = 0: expected a whole number from 1"),
        ({"train.learning_rate": -1.0}, "train.learning_rate = -1.0: expected a number above 0 or none"),
        ({"train.learning_rate": float("nan")}, "train.learning_rate = nan: expected a number above 0 or none"),
        ({"train.optimizer": "sdg"}, "train.optimizer = 'sdg': expected 'sgd', 'rmsprop', "),
        ({"train.epochs": "two"}, "train.epochs = 'two': expected a whole number from 1 (in"),
        ({"train.epochs": 2.5}, "train.epochs = 2.5: expected a whole number from 1 (in"),
        ({"network.filters": "[16,"}, "network.filters = '[16,': expected a list of whole numbers from 1, such as [16, 32] (in"),
        ({"network.filters": [0, -1]}, "network.filters = [0, -1]: expected a list of whole numbers from 1, such as [16, 32] (in"),
        ({"network.block_dropout": "a"}, "expected a list of numbers from 0 to below 1, such as [0.1, 0.2] or a number from 0 to below 1 (in"),
        ({"pixels.background": [1, 2]}, "pixels.background = [1, 2]: expected a list of 3 whole numbers (in"),
        ({"pixels.size": "x"}, "pixels.size = 'x': expected 'auto' or a whole number from 1 to 4096 (in"),
        ({"train.drop_factor": 2}, "train.drop_factor = 2: expected a number above 0 and below 1 (in"),
        ({"train.class_weights": 3}, "expected 'none' or 'balanced' or a table of names with a number above 0 each (in"),
        ({"data.strict": 5}, "data.strict = 5: expected true or false (in"),
        ({"augment.own": 3}, 'augment.own = 3: expected a list of texts, such as ["a", "b"] (in'),
        ({"network.filter": 3}, "there is no field 'network.filter': did you mean 'network.filters'?"),
        ({"train": 3}, "'train' is no field but a part, which has epochs, steps, batch_size, "),
        ({"defaults": "keras"}, "'defaults' is a field of several parts: say which, network.defaults or train.defaults"),
        ({"train.weight_decay": 0.1}, "only adamw and muon have it, not adam"),
        ({"train.keep": "averaged"}, "needs train.ema_decay above 0"),
        ({"train.ema_decay": 0.9}, "never uses"),
        ({"split.folds": 5, "split.fold": 5}, "not one of the 5 folds 0..4"),
        ({"network.block_dropout": [0.1, 0.2]}, "2 values for 3 blocks"),
        ({"network.dense": [8], "network.dense_dropout": [0.1, 0.2]}, "2 values for 1 dense layers"),
        ({"split.fit_on": "train+validation"}, "train.keep = 'best' chooses"),
        ({"augment.mixup_alpha": 1.0, "augment.cutmix_alpha": 1.0}, "exclude each other"),
        ({"train.loss": "mse", "train.label_smoothing": 0.1}, "belongs to cross_entropy"),
        ({"split.fold": 1}, "split.folds is not set"),
        ({"split.folds": 5, "split.validation_roots": ["train5"]}, "both make the validation part"),
        ({"pixels.normalise": "standard", "pixels.deviation": [0.5]}, "belong together, and only one is set"),
        ({"pixels.mean": [0.5], "pixels.deviation": [0.5]}, "do nothing with pixels.normalise = 'unit'"),
        ({"pixels.normalise": "standard", "pixels.mean": [0.5] * 3, "pixels.deviation": [0.5]}, "has 3 values and pixels.deviation 1"),
        ({"pixels.normalise": "standard", "pixels.mean": [0.5], "pixels.deviation": [0.0]}, "each must be above 0"),
        ({"augment.shift_pixels": 0.5}, "shifts by whole pixels"),
        ({"augment.crop": 40, "pixels.size": 32}, "larger than the images of pixels.size = 32"),
        ({"augment.hue_degrees": 10, "pixels.colour": "grey"}, "augment.hue_degrees needs colour"),
        ({"augment.offline_copies": 1, "augment.crop": 8}, "augment.crop changes images in every step"),
        ({"augment.flip_alternating": True}, "augment.flip_horizontal is off: set it to true"),
        (
            {"augment.rising_sizes": [16, 32]},
            "needs a network that takes images of any size, and this one of kind 'cnn' does not",
        ),
        ({"augment.rising_sizes": [16, 32], "network.kind": "mlp"}, "this one of kind 'mlp' does not"),
        (
            {"augment.offline_copies": 1, "augment.flip_horizontal": True, "augment.flip_alternating": True},
            "augment.flip_alternating changes images in every step",
        ),
        ({"augment.offline_copies": 1, "augment.mixup_alpha": 1}, "augment.mixup_alpha changes images in every step"),
        ({"augment.offline_copies": 1, "augment.cutmix_alpha": 1}, "augment.cutmix_alpha changes images in every step"),
        ({"train.l2_last": True}, "train.l2_dense is 0"),
        ({"network.kind": "mlp", "train.l2_convolution": 0.1}, "a network of kind 'mlp' has none"),
        ({"train.l2_dense": 0.1}, "leaves the last layer out, and network.dense has no other"),
        ({"network.dense_dropout": 0.5}, "network.dense_dropout = 0.5 is for the layers of network.dense"),
        ({"network.dense_batch_norm": True}, "network.dense_batch_norm = True is for the layers of network.dense"),
        ({"network.kind": "resnet"}, "resnet"),
        ({"name": "a/b"}, "name = 'a/b'"),
    ],
)
def test_a_bad_setting_is_refused_in_words(settings: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipes.change(Recipe(), settings)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Train(epoch=3), r"^there is no field 'train.epoch': did you mean 'train.epochs'\?$"),
        (lambda: CNN(filter=(3,)), r"^there is no field 'network.filter': did you mean 'network.filters'\?$"),
        (lambda: Train(epochs=0, batch_size=0), "^train.epochs = 0: expected a whole number from 1; train.batch_size = 0: expected a whole number from 1$"),
        (lambda: OwnNetwork(), "^network.source must be set$"),
        (lambda: Recipe(epochs=3), r"^there is no field 'epochs': did you mean 'train.epochs'\?$"),
        (lambda: Recipe(train={"epoch": 3}, pixels={"sise": 3}), r"did you mean 'pixels.size'\?; there is no field 'train.epoch': did you mean"),
        (lambda: Recipe(network={"filters": (3,)}), "^network.kind is not set: expected 'cnn', 'mlp' or 'own'$"),
        (lambda: Recipe(network={"kind": "cnn", "filters": (0,)}), r"^network.filters = \(0,\): expected a list of whole numbers from 1, such as \[16, 32\]$"),
        (lambda: Recipe(augment={"own": (3,)}), r"^augment.own = \(3,\): expected a list of texts"),
        (lambda: Recipe(train=3), "^train = 3: expected a table of fields"),
        (lambda: Recipe(train=Train(keep="averaged")), "^train.keep = 'averaged' needs train.ema_decay above 0, such as 0.999$"),
    ],
)
def test_a_recipe_made_in_python_is_refused_in_the_same_words(make: Callable[[], object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        make()


def test_the_short_name_of_a_field_is_enough_where_it_is_one_field() -> None:
    assert recipes.change(Recipe(), {"epochs": 3}).train.epochs == 3


def test_another_kind_of_network_starts_from_its_defaults() -> None:
    changed = recipes.change(Recipe(), {"network.kind": "mlp", "network.dense": [512, 256], "network.dense_dropout": [0.3, 0.0]})
    assert changed.network == MLP(dense=(512, 256), dense_dropout=(0.3, 0.0))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1e-3", 1e-3),
        ("a=true", True),
        ("a=[1, 2]", [1, 2]),
        ("a='x'", "x"),
        ("a=adam", "adam"),
        ("a=cat,dog; bird", "cat,dog; bird"),
        ("a=", ""),
    ],
)
def test_a_setting_is_toml_or_a_word(text: str, value: object) -> None:
    assert recipes.setting(text) == ("a", value)


def test_none_takes_a_value_away_where_a_field_need_not_have_one() -> None:
    start = recipes.change(Recipe(), {"train.early_stopping": 5, "train.learning_rate": 0.1})
    assert recipes.change(start, dict(map(recipes.setting, ("train.early_stopping=none", "learning_rate=none")))).train == Recipe().train
    assert recipes.change(Recipe(), {"pixels.normalise": "none"}).pixels.normalise == "none"
    with pytest.raises(RecipeError, match=r"train\.epochs = 'none': expected a whole number from 1"):
        recipes.change(Recipe(), {"train.epochs": "none"})


def test_no_field_of_a_network_may_be_unset() -> None:
    networks = (Recipe().network, MLP(), OwnNetwork(source="a.py:b"))
    assert all(value is not None for network in networks for value in network.model_dump().values())


def test_a_setting_without_equals_is_refused() -> None:
    with pytest.raises(RecipeError, match="expected key=value"):
        recipes.setting("train.epochs")


def test_files_that_are_no_recipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*No such file"):
        recipes.from_toml(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("a = = 3")
    with pytest.raises(RecipeError, match="is not a TOML file"):
        recipes.from_toml(tmp_path / "bad.toml")
    (tmp_path / "other.toml").write_text("[trian]\nepochs = 3\n")
    with pytest.raises(RecipeError, match=r"there is no field 'trian': did you mean 'train'.*other.toml"):
        recipes.from_toml(tmp_path / "other.toml")


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().split = Split()  # type: ignore[misc]


def test_every_field_says_what_is_right() -> None:
    for kind in ("cnn", "mlp", "own"):
        for name, field in fields(Recipe, {"network": {"kind": kind}}):
            assert right(field), name
