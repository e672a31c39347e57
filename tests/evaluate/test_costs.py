import numpy as np
import pytest

from rung.errors import DataError
from rung.evaluate.costs import cost, load_costs

CLASSES = ("cat", "dog", "big frog")


def read(tmp_path, text):
    path = tmp_path / "costs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_costs(path, CLASSES)


TABLE = [[0, 1, 2.5], [3, 0, 5], [-1, 7, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "true,cat,dog,big frog\ncat,0,1,2.5\ndog,3,0,5\nbig frog,-1,7,0\n",
        "\ufeff;cat;dog;big frog\r\ncat;0;1;2.5\r\n\r\ndog;3;0;5\r\nbig frog;-1;7;0",
        'x, dog ,"big frog",cat\n"big frog",7,0,-1\ncat,1,2.5,0\ndog,0,5,3',
    ],
)
def test_tables_are_read_by_name_whatever_the_order(tmp_path, text):
    assert read(tmp_path, text).tolist() == TABLE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected a first line of class names and a line for each of 3 classes"),
        (",cat,dgo,big frog\n", "first line .* names 'dgo', which is no class: did you mean 'dog'"),
        (",cat,dog,dog\n", "first line .* names 'dog' 2 times"),
        (",cat,dog\n", "first line .* leaves out big frog"),
        (",cat,dog,big frog\ncat,0,1,2\ndog,0,0,0\n", "first column .* leaves out big frog"),
        (",cat,dog,big frog\ncat,0,1\ndog,0,0,0\nbig frog,0,0,0", "line 2 .* has 3 cells, expected 4"),
        (",cat,dog,big frog\ncat,0,1,2,3\ndog,0,0,0\nbig frog,0,0,0", "line 2 .* has 5 cells"),
        (",cat,dog,big frog\ncat,0,1,much\ndog,0,0,0\nbig frog,0,0,0", "line 2 .* has 'much' where a cost should be"),
        (",cat,dog,big frog\ncat,0,1,\ndog,0,0,0\nbig frog,0,0,0", "line 2 .* has '' where"),
        (",cat,dog,big frog\ncat,0,1,inf\ndog,0,0,0\nbig frog,0,0,0", "line 2 .* has inf where .* finite"),
        (',"cat\n', "is not CSV"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_naming_the_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, text)
    assert str(tmp_path / "costs.csv") in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the cost table .*none\.csv: No such file"):
        load_costs(tmp_path / "none.csv", CLASSES)


def test_where_every_answer_costs_the_same_there_is_no_interval():
    found = cost(np.array([[3, 1], [0, 2]]), np.ones((2, 2)), 0.95)
    assert (found.value, found.low, found.reason) == (1.0, None, "every answer costs the same")


def test_no_mistake_seen_is_not_no_cost():
    found = cost(np.diag([50, 50]), np.array([[0.0, 100.0], [1.0, 0.0]]), 0.95)
    assert (found.value, found.low) == (0, 0)
    assert found.high > 3
