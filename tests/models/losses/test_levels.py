"""What losses are read by."""

from models.losses import weighted_levels


def test_levels_are_weighted_as_losses_are_and_a_loss_without_weight_has_none():
    found = weighted_levels({"chance": 2.0, "floor": 0.5}, {"D_nce": 0.5, "G_nce": 0.0, "G_img": 3.0})
    assert found == {"D_nce": {"chance": 1.0, "floor": 0.25}, "G_img": {"chance": 6.0, "floor": 1.5}}
