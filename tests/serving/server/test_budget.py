"""Requests beyond what memory should hold are refused until others are answered."""

import pytest

from tfnn.serving.server.budget import Budget
from tfnn.serving.server.refused import Refused


def test_what_is_answered_or_fails_makes_room():
    budget = Budget(10)
    with budget.hold(6):
        with pytest.raises(Refused, match="try again later") as refused, budget.hold(5):
            pass
        assert refused.value.status == 503
        with pytest.raises(KeyError), budget.hold(4):
            raise KeyError
        assert budget.held == 6
    assert budget.held == 0


def test_when_it_is_closed_what_is_held_may_end_but_nothing_begins():
    budget = Budget(10)
    with budget.hold(6):
        budget.close()
        with pytest.raises(Refused, match="is stopping"), budget.hold(1):
            pass
    assert budget.held == 0
