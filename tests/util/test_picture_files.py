from util.picture_files import ResultNames


def test_every_source_has_a_name_of_its_own():
    paths = ["d/x.png", "d/x.jpg", "d/sub/x.png", "e/sub/x.png", "d/X.png", "x.tar.png", "x", "d/x.png"]
    names = ResultNames()
    given = [names(p) for p in paths]
    assert given[0] == given[-1] == "x"
    assert len({n.casefold() for n in given[:-1]}) == len(paths) - 1
    assert not any(set("/\\") & set(n) for n in given)


def test_names_do_not_depend_on_how_often_one_is_asked_for():
    names = ResultNames()
    assert [names("a/x.png"), names("a/x.png"), names("b/x.png")] == ["x", "x", "x_png"]
