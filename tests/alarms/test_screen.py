import numpy as np

from alarms.analysis.screen import due, news, resting

RNG = np.random.default_rng(5)


def test_each_zone_has_its_turn_once_in_so_many_days():
    turns = np.array([due(day, 10, 4) for day in range(739000, 739004)])
    assert turns.sum(axis=0).tolist() == [1] * 10
    assert due(739000, 10, 1).all()


def test_a_step_and_what_cannot_be_compared_are_news():
    supply, loss = np.full((60, 3), 300.0), RNG.normal(0.0, 2.0, (60, 3))
    assert not news(loss, supply).any()
    loss[-1, 0] += 15.0
    loss[:-1, 2] = np.nan
    assert news(loss, supply).tolist() == [True, False, True]
    assert news(loss[:4], supply[:4]).all()


def test_a_rest_that_matters_is_news_on_some_days():
    use = np.ones((40, 3))
    rests = np.zeros((40, 3), dtype=np.int64)
    rests[-1] = [7, 8, 7]
    use[:, 2] = 1e-6
    assert resting(rests, use, np.array([0, 1, 2]), np.full((40, 3), 100.0)).tolist() == [True, False, False]
    assert not resting(rests, use, np.array([-1, -1, -1]), np.full((40, 3), 100.0)).any()
