import pytest

from config.load import load

EPIC_PN = {0: 0, 64: 1, 16: 2, 2: 3, 8: 4, 72: 5, 80: 6, 18: 7, 10: 8, 104: 9, 208: 10, 22: 11, 11: 12}


@pytest.mark.parametrize("name", ["wfi", "quick"])
def test_the_four_quadrants_form_a_camera_with_a_cross_shaped_gap(name):
    layout = load(name).detector
    at = {q.id: (q.origin_x_px, q.origin_y_px) for q in layout.quadrants}
    gap = (at[0][0] - at[3][0] - layout.columns, at[1][1] - at[0][1] - layout.rows)
    assert gap == {"wfi": (61, 46), "quick": (8, 6)}[name]
    assert at[1][0] == at[0][0]
    assert at[2] == (at[3][0], at[1][1])


def test_the_lists_of_the_background_group_fit_the_camera():
    layout = load("wfi").detector
    x = [q.origin_x_px for q in layout.quadrants]
    y = [q.origin_y_px for q in layout.quadrants]
    assert (min(x), max(x) + layout.columns - 1) == (59, 1143)
    assert (min(y), max(y) + layout.rows - 1) == (52, 1121)


@pytest.mark.parametrize("name", ["wfi", "quick"])
def test_the_grades_are_the_patterns_of_epic_pn(name):
    grades = load(name).reconstruct.grades
    assert {mask: int(grade) for grade, masks in grades.masks.items() for mask in masks} == EPIC_PN
    assert grades.otherwise == 13


def test_the_frame_time_is_a_parameter():
    assert load("wfi", ["detector.frame_time_s=0.002"]).detector.frame_time_s == 0.002
