"""Extractors: torch-fidelity's own numbers, files that are refused, modules and runs that see."""

import io
import pickle
import sys
import zipfile
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from evaluation.extractors import inception, load_extractor
from networks.caption_judge import CaptionMatcher
from networks.domain_encoder import DomainEncoder
from networks.glyph_judge import GlyphJudge
from options import UserError
from util.files import sha256

FEATURES = ["2048", "logits_unbiased"]


def options(extractor, weights=None, resize="clean"):
    weights = None if weights is None else str(weights)
    return SimpleNamespace(extractor=extractor, inception_weights=weights, resize=resize)


def levels(count, channels=3, size=32, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, size, size), generator=random, dtype=torch.uint8)


def message(extractor, weights=None, classes=()):
    with pytest.raises(UserError) as caught:
        load_extractor(options(extractor, weights), classes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- Inception -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights, whose features do not vanish as those of a fresh network do, and its network."""

    class Fresh(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            """Nothing."""

    torch.manual_seed(0)
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    network = Fresh("inception", FEATURES, empty)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.05)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path, network


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(weights):
    path, network = weights
    extractor, images = load_extractor(options("inception", path)), levels(2, 3, 299)
    seen = extractor(images)
    features, logits = network(images)
    assert features.std() > 1e-3 and seen.features.shape == (2, extractor.features) == (2, 2048)
    torch.testing.assert_close(seen.features, features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(seen.logits, logits, rtol=1e-5, atol=1e-5)
    assert seen.answers is None and extractor.tag == "" and "antialiasing" in extractor.resize


@pytest.mark.slow
def test_images_of_torch_fidelity_s_resize_have_its_features(weights):
    path, network = weights
    extractor, images = load_extractor(options("inception", path, "legacy-tf")), levels(2, 3, 40)
    torch.testing.assert_close(extractor(images).features, network(images)[0], rtol=1e-5, atol=1e-5)
    assert extractor.resize.endswith("as torch-fidelity and the first FID")


@pytest.mark.slow
def test_grey_is_three_equal_channels_at_any_size(weights):
    extractor, grey = load_extractor(options("inception", weights[0])), levels(1, 1, 24)
    torch.testing.assert_close(extractor(grey).features, extractor(grey.expand(-1, 3, -1, -1)).features)
    with pytest.raises(UserError, match="1 or 3 channels, these have 2"):
        extractor(levels(1, 2, 24))


@pytest.mark.slow
def test_weights_that_are_not_known_are_said_to_be(weights, monkeypatch):
    path, _ = weights
    extractor = load_extractor(options("inception", path))
    digest = sha256(path)
    assert not extractor.comparable and "not a known file" in extractor.remarks[0]
    assert extractor.digest == digest and digest[:12] in extractor.name and "not a known file" in extractor.name
    monkeypatch.setitem(inception.KNOWN, digest, "random.pth")
    known = load_extractor(options("inception", path))
    assert known.comparable and not known.remarks and known.name.endswith(f"random.pth, sha256 {digest[:12]}")


@pytest.mark.slow
def test_nothing_is_downloaded_and_no_random_number_missed(weights, monkeypatch):
    monkeypatch.setattr(fidelity, "load_state_dict_from_url", lambda *a, **k: pytest.fail("a download"))
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    load_extractor(options("inception", weights[0]))
    assert torch.equal(torch.rand(1), wanted)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_are_refused_and_nothing_runs(tmp_path):
    bomb, trace = tmp_path / "bomb.pth", tmp_path / "trace"
    torch.save({"fc.weight": Bomb(trace)}, bomb)
    assert "Python objects" in message("inception", bomb)
    bomb.write_bytes(pickle.dumps(Bomb(trace)))
    assert "damaged, or not a file of weights" in message("inception", bomb)
    assert not trace.exists()


def test_files_that_are_cut_off_or_missing_are_refused(weights, tmp_path):
    whole = weights[0].read_bytes()
    for size in (0, 100, len(whole) // 2):
        (tmp_path / "part.pth").write_bytes(whole[:size])
        assert "part.pth" in message("inception", tmp_path / "part.pth")
    assert "no such file" in message("inception", tmp_path / "absent.pth")
    assert inception.STANDARD in message("inception")


@pytest.mark.slow
def test_weights_of_another_network_are_refused(weights, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    assert "not the weights of FID's Inception" in message("inception", path)
    state = weights[1].state_dict()
    torch.save(state | {"fc.weight": torch.zeros(1000, 2048)}, path)
    assert "not the weights of FID's Inception" in message("inception", path)
    torch.save([1, 2], path)
    assert "no state dict" in message("inception", path)


def test_torchscript_is_a_program_and_is_not_run(tmp_path):
    path = tmp_path / "inception-2015-12-05.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inception/code/__torch__.py", "")
    said = message("inception", path)
    assert "a program, which is not run" in said and inception.STANDARD in said


# -- modules -------------------------------------------------------------------------------------------------------

CODE = """
import torch
from torch import nn

class Eyes(nn.Module):
    num_features = 4

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, levels):
        assert levels.dtype == torch.uint8
        features = self.layer(levels.float().mean((2, 3)) / 255)
        return features, features[:, :2]

class Alone(Eyes):
    def forward(self, levels):
        return super().forward(levels)[0]

class Flat(Eyes):
    def forward(self, levels):
        return levels.float().mean((1, 2, 3))

class Lost(Eyes):
    def forward(self, levels):
        return super().forward(levels)[0] / 0

class Loud(Eyes):
    def forward(self, levels):
        raise RuntimeError("too\\nloud")

class Broken:
    def __init__(self):
        raise ValueError("nothing here")

def number():
    return 3
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    path = tmp_path / "lab_of_extractors.py"
    path.write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("lab_of_extractors", None)


def test_a_module_is_found_by_file_and_by_dotted_path(lab):
    seen = []
    for path in (f"{lab}:Eyes", "lab_of_extractors.Eyes"):
        extractor = load_extractor(options(f"module:{path}"))
        assert (extractor.tag, extractor.comparable, extractor.features) == ("-module", False, 4)
        assert extractor.digest == sha256(lab) and extractor.digest[:12] in extractor.name
        seen.append(extractor(levels(70)))
    assert seen[0].features.shape == (70, 4) and seen[0].logits.shape == (70, 2)
    assert torch.equal(seen[0].features, seen[1].features)  # weights it drew are the same every time
    assert load_extractor(options(f"module:{lab}:Alone"))(levels(3)).logits is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Flat", r"must return features \(B, F\).* for 2 images; got \(2,\)"),
        ("Lost", "not finite"),
        ("Loud", r"failed on bytes \(2, 3, 32, 32\): RuntimeError: too loud"),
    ],
)
def test_what_a_module_returns_is_checked(lab, name, word):
    extractor = load_extractor(options(f"module:{lab}:{name}"))
    with pytest.raises(UserError, match=word):
        extractor(levels(2))


def test_modules_that_are_none_are_refused(lab, tmp_path):
    assert "no class or function 'Nose'" in message(f"module:{lab}:Nose")
    assert "Broken() failed: ValueError: nothing here" in message(f"module:{lab}:Broken")
    assert "must return a torch.nn.Module, not int" in message(f"module:{lab}:number")
    assert "no such file" in message(f"module:{tmp_path}/absent.py:Eyes")
    assert "cannot be imported: ModuleNotFoundError" in message("module:no_lab_at_all.Eyes")
    assert "give module:my_lab.features.Eyes" in message("module:Eyes")
    (tmp_path / "wrong.py").write_text("def")
    assert "cannot be imported: SyntaxError" in message(f"module:{tmp_path}/wrong.py:Eyes")


# -- runs ----------------------------------------------------------------------------------------------------------


def run_of(network, folder):
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    folder.mkdir()
    torch.save(network.state_dict(), folder / "latest_net_C.pth")
    return network.eval()


def test_a_classifier_answers_in_the_numbers_of_the_data(tmp_path):
    network = run_of(GlyphJudge("label", ["cat", "dog", "owl"], 3, 32, 2), tmp_path / "judge")
    extractor = load_extractor(options(f"domain:{tmp_path / 'judge'}"), ("owl", "cat", "yak"))
    seen, images = extractor(levels(40)), levels(40).float() / 127.5 - 1
    logits = network(images).detach()
    torch.testing.assert_close(seen.logits, logits)
    torch.testing.assert_close(seen.features, network.embed(images).detach())
    assert torch.equal(seen.answers, torch.tensor([1, -1, 0])[logits.argmax(1)])
    assert extractor.tag == "-domain" and "judge of 3 labels of judge" in extractor.name and not extractor.comparable
    assert extractor.features == 16 and "cannot answer yak" in extractor.remarks[0]
    assert extractor.digest == sha256(tmp_path / "judge/latest_net_C.pth")


def test_a_classifier_that_knows_none_of_the_classes_does_not_answer(tmp_path):
    run_of(GlyphJudge("label", ["cat", "dog"], 3, 32, 2), tmp_path / "judge")
    for classes in ((), ("x", "y")):
        extractor = load_extractor(options(f"domain:{tmp_path / 'judge'}"), classes)
        assert extractor(levels(2)).answers is None and not extractor.remarks


def test_a_judge_of_characters_answers_by_the_characters(tmp_path):
    network = run_of(GlyphJudge("character", ["65", "66"], 1, 32, 2), tmp_path / "judge")
    seen = load_extractor(options(f"domain:{tmp_path / 'judge'}"), ("B", "A"))(levels(20, 1))
    wanted = 1 - network(levels(20, 1).float() / 127.5 - 1).argmax(1)
    assert torch.equal(seen.answers, wanted)


def test_a_judge_of_captions_gives_its_features(tmp_path):
    network = run_of(CaptionMatcher({"way": ("up", "down")}, ["a"], 1, 32, 2), tmp_path / "judge")
    seen = load_extractor(options(f"domain:{tmp_path / 'judge'}"), ("up", "down"))(levels(3, 1))
    torch.testing.assert_close(seen.features, network.look(levels(3, 1).float() / 127.5 - 1)[0].detach())
    assert seen.logits is None and seen.answers is None


def test_an_image_looks_the_same_whatever_is_beside_it(tmp_path):
    run_of(DomainEncoder(3, 32, 4, 8), tmp_path / "eyes")
    extractor, images = load_extractor(options(f"domain:{tmp_path / 'eyes'}")), levels(70)
    together = extractor(images).features
    alone = torch.cat([extractor(image[None]).features for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert extractor.features == 8 and "self-supervised network of eyes" in extractor.name


def test_images_come_to_a_domain_network_in_any_shape(tmp_path):
    run_of(DomainEncoder(3, 32, 4, 8), tmp_path / "eyes")
    extractor, small = load_extractor(options(f"domain:{tmp_path / 'eyes'}")), levels(2)
    assert "to 32 x 32" in extractor.resize
    large = small.repeat_interleave(3, 2).repeat_interleave(3, 3)
    assert extractor(large[:, :, :90]).features.shape == (2, 8)
    near, far = ((extractor(x).features - extractor(small).features).norm() for x in (large, levels(2, seed=1)))
    assert near < far
    grey = small[:, :1]
    torch.testing.assert_close(extractor(grey).features, extractor(grey.expand(-1, 3, -1, -1)).features)
    with pytest.raises(UserError, match="images of 2 channels, where 3 are wanted"):
        extractor(levels(1, 2))


def test_weights_that_diverged_are_refused(tmp_path):
    network = run_of(DomainEncoder(3, 32, 4, 8), tmp_path / "eyes")
    state = network.state_dict()
    torch.save(
        state | {"describe.0.weight": state["describe.0.weight"] * torch.nan}, tmp_path / "eyes/latest_net_C.pth"
    )
    with pytest.raises(UserError, match=r"latest_net_C\.pth: describe\.0\.weight is not finite") as error:
        load_extractor(options(f"domain:{tmp_path / 'eyes'}"))
    assert error.value.code == 3
    huge = torch.full_like(state["describe.0.weight"], 3e38)  # finite, but what it computes is not
    torch.save(state | {"describe.0.weight": huge}, tmp_path / "eyes/latest_net_C.pth")
    extractor = load_extractor(options(f"domain:{tmp_path / 'eyes'}"))
    with pytest.raises(UserError, match="features are not finite"):
        extractor(levels(2))


def test_runs_that_are_none_are_refused(tmp_path):
    assert "--model domain" in message(f"domain:{tmp_path / 'absent'}")
    (tmp_path / "other").mkdir()
    assert "no checkpoint" in message(f"domain:{tmp_path / 'other'}")
    for content in (nn.Linear(2, 2).state_dict(), [1], {"_extra_state": 3}):
        torch.save(content, tmp_path / "other/latest_net_C.pth")
        assert "no network of --model domain" in message(f"domain:{tmp_path / 'other'}")
    for extractor in (None, "domain", "eyes"):
        assert "train.py --model domain" in message(extractor)
