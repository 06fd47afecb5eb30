"""What lies in memory, which kernel makes it, and where: nothing is written twice, nothing overwritten too early."""

from __future__ import annotations

import itertools

from trtkit.runtime.fused.memory import bytes_of, offsets
from trtkit.runtime.fused.network import read
from trtkit.runtime.fused.schedule import ConvolutionStep, KernelStep, schedule
from trtkit.runtime.fused.values import Joined

from .networks import guided, planar, two_levels


def kernels(network) -> list[KernelStep]:
    return [step for step in schedule(network).steps if isinstance(step, KernelStep)]


def test_between_two_convolutions_is_one_kernel():
    steps = schedule(read(two_levels())).steps
    assert [isinstance(step, ConvolutionStep) for step in steps] == [False, True] * 4 + [False]


def test_a_skip_is_written_where_it_is_joined_and_its_maxima_with_it():
    network = read(two_levels())
    joined = next(value for value in network.values if isinstance(value, Joined))
    skip, deep = joined.parts
    pooling = next(step for step in kernels(network) if step.pooled is not None)
    assert pooling.values == [skip]
    written = [(place.buffer.name, place.first) for places in pooling.stored.values() for place in places]
    assert written == [(joined.name, 0), (pooling.pooled.name, 0)]
    resizing = next(step for step in kernels(network) if deep in step.stored)
    assert [(place.buffer.name, place.first) for place in resizing.stored[deep]] == [(joined.name, 8)]
    assert len(resizing.loads) == 1, "bias and activation of what is resized are computed on the way"


def test_a_guided_filter_is_three_kernels():
    steps = kernels(read(guided()))[-3:]
    assert [len(step.values) for step in steps] == [1, 2, 1]
    assert {place.buffer.block for place in steps[0].loads.values()} == {4}, "blocks are undone once"
    assert all(place.buffer.block == 1 for step in steps[1:] for place in step.loads.values())
    assert steps[-1].stored.keys() == {steps[-1].values[0]}


def test_three_channels_get_a_fourth_of_zeros_before_a_convolution():
    first = schedule(read(two_levels())).convolutions[0]
    assert (first.source.channels, first.source.spare) == (4, 1)


def test_threads_have_eight_channels_where_all_are_multiples_of_eight():
    assert {step.lanes for step in kernels(read(two_levels()))} == {1, 8}
    assert {step.lanes for step in kernels(read(two_levels(widths=(5, 7))))} == {1}


def test_buffers_share_memory_only_where_no_step_needs_both():
    for model in (two_levels(), guided(), planar()):
        plan = schedule(read(model))
        batch, size = 3, (40, 52)
        placed, taken = offsets(plan, batch, size)
        spans = {buffer: (offset, offset + bytes_of(buffer, batch, size)) for buffer, offset in placed.items()}
        assert all(offset % 256 == 0 for offset, _ in spans.values())
        assert max(end for _, end in spans.values()) <= taken
        assert taken < sum(bytes_of(buffer, batch, size) for buffer in placed), "nothing is shared"
        touched = [(number, buffer) for number, step in enumerate(plan.steps) for buffer in (*step.reads, *step.writes)]
        lives = {buffer: [number for number, other in touched if other is buffer] for buffer in spans}
        for one, other in itertools.combinations(spans, 2):
            apart = spans[one][1] <= spans[other][0] or spans[other][1] <= spans[one][0]
            never_both = max(lives[one]) < min(lives[other]) or max(lives[other]) < min(lives[one])
            assert apart or never_both, (one.name, other.name)
