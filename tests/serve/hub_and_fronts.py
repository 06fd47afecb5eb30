"""A hub and its fronts in one process: the way of the runs without the HTTP around it."""

from __future__ import annotations

import threading
from contextlib import suppress

from trtkit.serve.batcher import Batcher
from trtkit.serve.breaker import Breaker
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.link import Link
from trtkit.serve.fronts.network_info import info_of, state_of
from trtkit.serve.fronts.remote_network import RemoteNetwork
from trtkit.serve.fronts.request_handler import RequestHandler
from trtkit.serve.fronts.shared_gauges import NETWORKS, SharedGauge, SharedGauges

from .hands import image


class Hub:
    """The hub's part for fronts in this process: it reads their words in a thread of its own."""

    def __init__(self, network, delay: float) -> None:
        self.batcher = Batcher("m/n", [network], 8, delay, Breaker(1, 60), image())
        self.gauges = SharedGauges.new(2, 1)
        self.batcher.expect_also(lambda: self.gauges.total(NETWORKS))
        self.words: list[tuple] = []
        self.handlers: list[RequestHandler] = []
        self._channels: list[Channel] = []
        self.links: list[Link] = []
        self.answers = True

    def front(self) -> RemoteNetwork:
        row = len(self.handlers)
        ours, theirs = Channel.pair(2.0)
        handler = RequestHandler([self.batcher], ours, lambda: None)
        self.handlers.append(handler)
        self._channels.append(ours)
        threading.Thread(target=self._read, args=(ours, handler), daemon=True).start()
        link = Link(Channel(theirs), 1, own=lambda: ({}, {}), drain=lambda: None, lost=lambda: None)
        remote = RemoteNetwork(0, info_of(self.batcher, 2), link, SharedGauge(self.gauges, row, NETWORKS))
        link.start([remote])
        self.links.append(link)
        return remote

    def _read(self, channel: Channel, handler: RequestHandler) -> None:
        while (messages := channel.receive()) is not None:
            for word, *content in messages:
                self.words.append((word, *content))
                if word != "ask":
                    handler.words[word](*content)
                elif self.answers:
                    said = {"answers": {("/v1", 200): 3}, "stages": {("m", "run"): (3, 0.5)}, "process": {}}
                    channel.send(("totals", *content, said | {"networks": [state_of(self.batcher)]}))

    def said(self, word: str) -> int:
        return sum(one[0] == word for one in self.words)

    def close(self) -> None:
        self.batcher.close()
        for channel in self._channels:
            with suppress(OSError):  # closed by the test
                channel.shut()
        self.gauges.close()
