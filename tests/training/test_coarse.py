"""The guesses at small sizes that training adds: right ones cost little, and a stopped run goes on with their heads."""

import torch

from training.cv_unet import train
from training.cv_unet.losses import coarse_loss


def test_right_guesses_cost_less_and_margins_nothing():
    truth = torch.zeros(1, 1, 16, 16)
    truth[..., 8:] = 1
    guesses = [torch.tensor([[-9.0, 9.0]]).repeat_interleave(side // 2, 1).expand(1, 1, side, side) for side in (2, 4)]
    counted = torch.ones_like(truth)
    assert coarse_loss(guesses, truth, counted) < 1e-3
    assert coarse_loss([-guess for guess in guesses], truth, counted) > 8
    counted[..., 8:, :] = 0
    wrong_below = [guess * torch.linspace(1, -1, guess.shape[2]).sign().view(-1, 1) for guess in guesses]
    assert coarse_loss(wrong_below, truth, counted) < 1e-3


def test_a_stopped_run_goes_on_with_its_heads(tmp_path):
    class Blotches:
        def batch(self, count, size):
            alpha = (torch.rand(count, 1, size, size) > 0.5).float()
            return alpha.expand(-1, 3, -1, -1) * 0.5 + 0.2, alpha, torch.ones_like(alpha)

    run = train.Run(train.SMOKE, "cpu")
    run.step = 1  # the first step draws people
    before = [head.weight.clone() for head in run.heads]
    for _ in range(2):
        run.train_step(Blotches(), 0.5)
    assert len(before) == 2
    assert all(not torch.equal(old, head.weight) for old, head in zip(before, run.heads, strict=True))
    run.save(tmp_path / "checkpoint.pt")
    resumed = train.Run(train.SMOKE, "cpu")
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.step == run.step
    for name, tensor in run.heads.state_dict().items():
        assert torch.equal(tensor, resumed.heads.state_dict()[name])
