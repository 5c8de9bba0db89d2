"""The median stopping rule, by hand."""


from despina.core.pruning import COMPLETED, running_averages, thresholds


def test_averages_are_of_all_values_up_to_epochs_that_are_powers_of_two() -> None:
    values = [None, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 100.0]
    assert running_averages(values) == ((4, 2.0), (8, 4.0))


def test_before_the_first_evaluation_there_is_none() -> None:
    assert running_averages([None] * 5 + [0.5, 0.25, 0.75]) == ((8, 0.5),)
    assert running_averages([]) == ()


def test_the_threshold_is_the_median_of_the_completed_trials() -> None:
    completed = [((4, value),) for value in (0.1, 0.9, 0.5, 0.3, 0.7)]
    assert thresholds(completed, maximize=True) == ((4, 0.5),)
    assert thresholds(completed, maximize=False) == ((4, 0.5),)


def test_of_an_even_number_it_is_the_worse_of_the_middle_ones() -> None:
    completed = [((4, value),) for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    assert thresholds(completed, maximize=True) == ((4, 0.3),)
    assert thresholds(completed, maximize=False) == ((4, 0.4),)


def test_with_too_few_completed_trials_there_is_none() -> None:
    few = [((4, 0.5), (8, 0.6))] * (COMPLETED - 1)
    assert thresholds(few, maximize=True) == ()
    assert thresholds([*few, ((4, 0.5),)], maximize=True) == ((4, 0.5),), "one of them was over before the eighth epoch"
