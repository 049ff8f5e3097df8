import pytest
import torch

from evaluation.metrics import METRICS
from evaluation.metrics.shared.clip_score import Clip
from options import UserError
from util.files import sha256

pytestmark = pytest.mark.extra
WORDS = ("[UNK]", "a", "red", "blue", "cube", "ball", "<s>", "</s>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random CLIP that looks at 8 x 8 pixels, with a tokenizer of whole words."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    path = tmp_path_factory.mktemp("clip")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 6), ("</s>", 7)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(path)
    transformers.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=8).save_pretrained(path)
    sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config=dict(
            vocab_size=8, max_position_embeddings=6, bos_token_id=6, eos_token_id=7, pad_token_id=7, **sizes
        ),
        vision_config=dict(image_size=8, patch_size=4, **sizes),
        projection_dim=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(33)  # one of those under which cosines of both signs are common
        transformers.CLIPModel(config).save_pretrained(path)
    return path


def pictures(count, channels=3):
    return torch.randint(0, 256, (count, channels, 8, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def by_hand(images, captions, folder):
    """100 max(cos, 0) of every pair by itself, from the towers and the constants that CLIP was published with."""
    from transformers import CLIPModel

    model, scores = CLIPModel.from_pretrained(folder).eval(), []
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    for image, caption in zip(images, captions, strict=True):
        pixels = (image / 255 - mean[:, None, None]) / std[:, None, None]
        ids = torch.tensor([[6, *[WORDS.index(word) for word in caption.split()][:4], 7]])
        with torch.no_grad():
            v = model.visual_projection(model.vision_model(pixel_values=pixels[None]).pooler_output)[0]
            c = model.text_projection(model.text_model(input_ids=ids).last_hidden_state[0, -1])
        scores.append(100 * max(float(v @ c / v.norm() / c.norm()), 0))
    return scores


@pytest.mark.slow
def test_score_is_the_mean_of_100_cosines_cut_at_zero(folder):
    captions = [f"a {colour} {thing}" for colour in ("red", "blue") for thing in ("cube", "ball", "ball cube red")] * 6
    images = pictures(len(captions))  # more than a batch
    wanted = by_hand(images, captions, folder)
    assert 9 < sum(score == 0 for score in wanted) < 27
    clip = Clip(folder)
    assert clip(images, captions) == pytest.approx(sum(wanted) / len(wanted), abs=1e-3)
    assert METRICS.find("clip")().compare(clip.judge(images, captions)) == {"CLIP score": clip(images, captions)}
    assert clip.digests == {"model.safetensors": sha256(folder / "model.safetensors")}


def test_floats_and_greyscale_are_the_same_pictures(folder):
    images, captions = pictures(4, channels=1), ["a red cube", "ball", "a", "ball cube red"]
    clip = Clip(folder)
    wanted = clip(images.expand(-1, 3, -1, -1), captions)
    assert wanted > 1
    assert clip(images, captions) == pytest.approx(wanted, abs=1e-5)
    assert clip(images / 127.5 - 1, captions) == pytest.approx(wanted, abs=1e-5)


def test_what_holds_no_clip_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="--clip openai/clip-vit-base-patch32: no such folder; nothing is downloaded"):
        Clip("openai/clip-vit-base-patch32")
    with pytest.raises(UserError, match=f"--clip {tmp_path}"):
        Clip(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="of kind bert, not clip"):
        Clip(tmp_path)
    with pytest.raises(ValueError, match="1 pictures and 2 captions"):
        Clip(folder)(pictures(1), ["a", "b"])
