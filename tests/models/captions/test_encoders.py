"""Encoders of captions: our own, and tiny ones of three pretrained kinds, built here with random weights."""

from pathlib import Path
from string import ascii_lowercase
from types import SimpleNamespace

import pytest
import torch

from models.captions.cache import TextCache
from models.captions.encoders import OwnEncoder, TextOptions, make_encoder
from models.captions.huggingface import HFEncoder
from networks.text import TextTransformer
from options import UserError
from options.parsing import parse_script
from util.vocabulary import Vocabulary

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "cube", "ball", "on", "the", "##s")
CAPTIONS = ("a red cube", "the blue ball on a red cube", "ball")
SPELLER = 12  # numbers of a word
KINDS = {
    "bert": dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8),
    "t5": dict(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=3),
    "clip": dict(
        text_config=dict(
            **dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2),
            **dict(vocab_size=len(WORDS), max_position_embeddings=20, bos_token_id=2, eos_token_id=3, pad_token_id=0),
        ),
        vision_config=dict(
            **dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2),
            **dict(image_size=8, patch_size=4),
        ),
        projection_dim=4,
    ),
}


def tiny(folder, kind="bert"):
    """A folder with a tiny random model and a tokenizer of whole words, as from_pretrained reads it."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = "$A [SEP]" if kind == "t5" else "[CLS] $A [SEP]"
    tokenizer.post_processor = processors.TemplateProcessing(single=marks, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    sizes = KINDS[kind] if kind == "clip" else dict(vocab_size=len(WORDS), **KINDS[kind])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("bert"))


def speller(folder):
    """A folder with a tiny random BERT whose tokenizer works as MiniLM's does: it lower-cases, and spells any word."""
    import transformers

    words = ("a", "man", "rides", "horse", "someone", "on", "the", "stock", "market", "fell", "letter")
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *(c for c in ascii_lowercase if c != "a"), ",")
    pieces += tuple(f"##{c}" for c in ascii_lowercase)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(vocab_size=len(pieces), **{**KINDS["bert"], "hidden_size": SPELLER})
        transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


# -- our own ---------------------------------------------------------------------------------------


def own(most=5):
    return OwnEncoder(TextTransformer(9, 8, 1, 2, most), Vocabulary(["a", "red", "blue", "cube", "G", "g", ","]), most)


def test_own_encoder_learns_and_pads():
    encoder = own()
    text = encoder.encode(["a red cube", "cube"])
    assert text.words.shape == (2, 3, 8) and text.mask.tolist() == [[True] * 3, [True, False, False]]
    assert encoder.dim == 8 and encoder.words("A red zebra") == ["a", "red", "zebra"]
    text.sentence[0].square().sum().backward()
    assert encoder.netT.embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist() == [2, 3, 5]  # a, red, cube


def test_own_encoder_reads_a_caption_alike_in_any_batch():
    encoder = own()
    alone, among = encoder.encode(["red cube"]), encoder.encode(["a blue cube , g", "red cube"])
    torch.testing.assert_close(among.words[1, :2], alone.words[0])
    torch.testing.assert_close(among.sentence[1], alone.sentence[0])


def test_own_encoder_tells_letters_apart_and_cuts_long_captions():
    encoder = own(most=2)
    g, G = encoder.encode(["g", "G"]).sentence
    assert not torch.allclose(g, G)
    assert torch.equal(encoder.encode(["a red cube"]).words, encoder.encode(["a red ball"]).words)
    assert encoder.words("a red cube") == ["a", "red"] and encoder.unknown("a green cube") == ["green"]


# -- which one -------------------------------------------------------------------------------------


def settings(tmp_path, **changes):
    values = dict(text_encoder="transformer", max_words=4, text_dim=8, text_layers=1, text_heads=2, vocab_size=3)
    values |= dict(
        is_train=True, drop_marks=False, allow_download=False, text_cache=None, checkpoints_dir=str(tmp_path)
    )
    return SimpleNamespace(**(values | dict(device="cpu", gpu_ids="0") | changes))


def test_the_vocabulary_is_of_the_captions_or_of_the_run(tmp_path, capsys):
    encoder = make_encoder(settings(tmp_path), CAPTIONS)
    assert encoder.vocabulary.known == ("a", "red", "cube") and encoder.netT.embedding.num_embeddings == 5
    assert "1 of 3 captions" in capsys.readouterr().out  # has six words, of which --max_words 4 leaves four
    again = make_encoder(settings(tmp_path), ["another one"], Vocabulary.from_dict(encoder.vocabulary.as_dict()))
    assert again.digest == encoder.digest and again.unknown("another cube") == ["another"]


@pytest.mark.extra
def test_a_pretrained_encoder_reads_all_captions_at_once(tmp_path, bert, capsys):
    encoder = make_encoder(settings(tmp_path, text_encoder=f"hf:{bert}"), CAPTIONS)
    assert encoder.cache.path.parent == tmp_path / "text_cache" and encoder.cache.missing(CAPTIONS) == []
    assert "reads 3 captions" in capsys.readouterr().out
    again = make_encoder(settings(tmp_path, text_encoder=f"hf:{bert}"), CAPTIONS)
    assert again.encode(CAPTIONS).words.shape == (3, 4, 8)
    assert again.network is None  # no weights are loaded where all is known
    assert capsys.readouterr().out == "--max_words 4: 2 of 3 captions are longer and are cut\n"


@pytest.mark.extra
def test_in_a_test_a_pretrained_encoder_reads_what_it_is_asked(tmp_path, bert, capsys):
    encoder = make_encoder(settings(tmp_path, text_encoder=f"hf:{bert}", is_train=False), CAPTIONS)
    assert encoder.network is None and not encoder.cache.path.exists() and capsys.readouterr().out == ""
    encoder.encode(CAPTIONS[:1])
    assert encoder.cache.missing(CAPTIONS) == [*CAPTIONS[1:]]


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--text_encoder", "bert"], "--text_encoder bert"),
        (["--text_encoder", "hf:"], "--text_encoder hf:"),
        (["--text_dim", "10"], "--text_dim 10"),
    ],
)
def test_flags_that_mean_nothing_are_refused(argv, named):
    with pytest.raises(UserError, match=named):
        parse_script(TextOptions, argv)
    assert parse_script(TextOptions, ["--text_encoder", "hf:some/where"]).max_words == 32


# -- pretrained ones -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_states_of_its_own_library(tmp_path, kind):
    import transformers

    folder = tiny(tmp_path / kind, kind)
    encoder = HFEncoder(folder, tmp_path, most=20)
    text = encoder.encode(CAPTIONS)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    part = {"bert": lambda: model, "t5": lambda: model.encoder, "clip": lambda: model.text_model}[kind]()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for i, caption in enumerate(CAPTIONS):
        ids = tokenizer(caption, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            wanted = part(input_ids=ids).last_hidden_state[0]
        mine = text.words[i, : len(wanted)]
        torch.testing.assert_close(mine, wanted, atol=2e-3, rtol=1e-3)  # float16 has 11 bits
        torch.testing.assert_close(text.sentence[i], mine.mean(0))
        assert text.mask[i].sum() == len(wanted) == len(encoder.words(caption))
    assert encoder.dim == 8 and text.words.dtype == torch.float32 and not text.words.requires_grad
    assert not any(p.requires_grad for p in encoder.network.parameters())


@pytest.mark.extra
def test_what_the_cache_holds_is_what_is_used(tmp_path, bert):
    first, again = (HFEncoder(bert, tmp_path, most=8) for _ in range(2))
    new = first.encode(CAPTIONS)
    again.network = "is not asked"
    assert torch.equal(again.encode(CAPTIONS).words, new.words)
    assert torch.equal(again.encode(CAPTIONS[::-1]).sentence, new.sentence.flip(0))


@pytest.mark.extra
def test_encoding_draws_no_random_numbers(tmp_path, bert):
    torch.manual_seed(3)
    HFEncoder(bert, tmp_path, most=8).prepare(CAPTIONS)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


@pytest.mark.extra
def test_autocast_of_a_step_does_not_reach_the_encoder(tmp_path, bert):
    outside = HFEncoder(bert, tmp_path / "outside", most=8).encode(CAPTIONS)
    with torch.autocast("cpu", torch.bfloat16):
        inside = HFEncoder(bert, tmp_path / "inside", most=8).encode(CAPTIONS)
    assert torch.equal(outside.words, inside.words)


@pytest.mark.extra
def test_marks_can_be_left_out(tmp_path, bert):
    every, bare = HFEncoder(bert, tmp_path, most=8), HFEncoder(bert, tmp_path, most=8, drop_marks=True)
    assert every.words("a red cubes") == ["[CLS]", "a", "red", "cube", "##s", "[SEP]"]
    assert bare.words("a red cubes") == ["a", "red", "cube", "##s"]
    assert torch.equal(bare.encode(["a red cube"]).words[0], every.encode(["a red cube"]).words[0, 1:-1])
    assert bare.digest != every.digest


@pytest.mark.extra
def test_long_captions_are_cut_and_said(tmp_path, bert, capsys):
    encoder = HFEncoder(bert, tmp_path, most=5)
    encoder.prepare([*CAPTIONS, "a red ball", "the red zebra", "the red okapi"])
    said = capsys.readouterr().out
    assert "1 of 6 captions are longer" in said  # five tokens with their marks are not
    assert "'the red zebra' and 'the red okapi' alike" in said
    assert encoder.words(CAPTIONS[1]) == ["[CLS]", "the", "blue", "ball", "[SEP]"]
    assert encoder.unknown("the red zebra") == ["zebra"]


@pytest.mark.extra
def test_what_is_lost_on_the_encoder_is_said_whenever_a_run_trains(tmp_path, bert, capsys):
    captions = [*CAPTIONS, "the red zebra", "the red okapi"]
    told = []
    for _ in range(2):
        HFEncoder(bert, tmp_path, most=5).prepare(captions)
        told.append([line for line in capsys.readouterr().out.splitlines() if "reads 5 captions" not in line])
    assert told[0] == told[1] and len(told[0]) == 2


@pytest.mark.extra
def test_a_cache_that_takes_much_room_is_announced(tmp_path, bert, capsys):
    encoder = HFEncoder(bert, tmp_path, most=8)
    encoder.dim = 10**8
    encoder.prepare(CAPTIONS)
    assert "; that takes 3.2 GB" in capsys.readouterr().out  # 5 + 8 + 3 tokens of 2e8 bytes
    HFEncoder(bert, tmp_path / "small", most=8).prepare(CAPTIONS)
    assert "GB" not in capsys.readouterr().out


@pytest.mark.extra
def test_many_captions_are_encoded_some_at_a_time(tmp_path, bert, monkeypatch):
    monkeypatch.setattr("models.captions.huggingface.PART", 2)
    encoder, kept = HFEncoder(bert, tmp_path, most=8), []
    put = encoder.cache.put
    monkeypatch.setattr(encoder.cache, "put", lambda words: kept.append(len(words)) or put(words))
    assert encoder.encode([*CAPTIONS, "a ball", "a"]).mask.shape == (5, 8) and kept == [2, 2, 1]


@pytest.mark.extra
@pytest.mark.parametrize("caption", ["", "  "])
def test_a_caption_without_words_is_refused(tmp_path, bert, caption):
    with pytest.raises(UserError, match="no words"):
        HFEncoder(bert, tmp_path, most=8).encode(["a", caption])


@pytest.mark.extra
def test_an_id_is_refused_without_asking_the_network(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(UserError, match=r"hf:some-one/no-such-model.*local folder or --allow_download"):
        HFEncoder("some-one/no-such-model", tmp_path, most=8)
    with pytest.raises(UserError, match=r"hf:\./models/none: no such folder"):
        HFEncoder("./models/none", tmp_path, most=8)


def harm(folder, how):
    weights = folder / "model.safetensors"
    if how == "no weights":
        weights.unlink()
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "config":
        (folder / "config.json").write_text("{")
    elif how == "pickle":
        weights.unlink()
        torch.save({"embeddings": Path("a pickle that makes a Path")}, folder / "pytorch_model.bin")
    elif how == "other":
        from safetensors.torch import save_file

        save_file({"something.else": torch.zeros(2)}, weights, metadata={"format": "pt"})


@pytest.mark.extra
@pytest.mark.parametrize("how", ["no weights", "cut", "config", "pickle", "other"])
def test_a_broken_folder_is_refused_in_one_line(tmp_path, how):
    folder = tmp_path / "model"
    tiny(folder)
    harm(folder, how)
    with pytest.raises(UserError, match="--text_encoder hf:"):
        HFEncoder(str(folder), tmp_path, most=8).encode(["a"])


@pytest.mark.extra
def test_more_words_than_an_encoder_reads_are_refused(tmp_path):
    folder = tiny(tmp_path / "clip", "clip")
    with pytest.raises(UserError, match=r"--max_words 21.*20 tokens"):
        HFEncoder(folder, tmp_path, most=21)


@pytest.mark.extra
def test_other_weights_or_words_have_another_digest(tmp_path, bert):
    other = tmp_path / "t5"
    digests = [HFEncoder(f, tmp_path, most=m).digest for f, m in ((bert, 8), (bert, 9), (tiny(other, "t5"), 8))]
    (other / "README.md").write_text("says nothing of the weights")
    assert len(set(digests)) == 3 and HFEncoder(str(other), tmp_path, most=8).digest == digests[2]


# -- one that spells -------------------------------------------------------------------------------


@pytest.mark.extra
def test_an_encoder_reads_a_caption_alike_alone_and_among_longer_ones(tmp_path):
    folder = speller(tmp_path / "speller")
    encoder = HFEncoder(folder, tmp_path, most=16)
    text = encoder.encode(["a man rides a horse", "someone on a horse", "the stock market fell", "a horse"])
    assert text.words.shape == (4, 7, SPELLER) and text.mask.sum(1).tolist() == [7, 6, 6, 4]
    alone = HFEncoder(folder, tmp_path / "another", most=16).encode(["a horse"])
    torch.testing.assert_close(alone.words[0], text.words[3, :4], atol=1e-3, rtol=1e-3)
    assert isinstance(encoder.cache, TextCache) and encoder.cache.missing(["a horse"]) == []


@pytest.mark.extra
def test_an_encoder_that_lower_cases_spells_what_it_does_not_know(tmp_path, capfd):
    encoder = HFEncoder(speller(tmp_path / "speller"), tmp_path, most=16)
    assert encoder.words("A cab") == ["[CLS]", "a", "c", "##a", "##b", "[SEP]"] and not encoder.unknown("A cab")
    g, G = encoder.encode(["letter g", "letter G"]).sentence
    assert torch.equal(g, G)
    encoder.prepare(["letter g", "letter G"])
    assert "it reads 'letter g' and 'letter G' alike" in capfd.readouterr().out
