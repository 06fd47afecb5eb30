"""A front process: the HTTP server and the host work, with proxies in the place of the networks."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from typing import Any

from trtkit.errors import TrtkitError
from trtkit.many_pictures import for_many_pictures
from trtkit.serve.access import Keys
from trtkit.serve.app import make_app
from trtkit.serve.fronts.accepting import make_server
from trtkit.serve.fronts.channel import Channel, Message
from trtkit.serve.fronts.link import Link
from trtkit.serve.fronts.remote_network import RemoteNetwork
from trtkit.serve.fronts.shared_gauges import (
    BODIES,
    BODY_BYTES,
    CONNECTIONS,
    NETWORKS,
    UNDER_WAY,
    SharedGauge,
    SharedGauges,
)
from trtkit.serve.fronts.start import Start
from trtkit.serve.gauges import Gauges
from trtkit.serve.running import log_to_stderr, settings_of
from trtkit.serve.service import Served, Service


def main(descriptor: int) -> None:
    """Serve until the hub says that it is over, or is no more."""
    # The hub decides when it ends: a signal to all processes of a group would end the fronts before their requests.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    channel = Channel(socket.socket(fileno=descriptor))
    told: list[Message] = []
    while len(told) < 2:  # "start" and "listen", a descriptor with each
        more = channel.receive()
        if more is None:  # the hub could not open its networks, and has said why
            sys.exit(1)
        told += more
    _, row, content = told[0]
    start: Start = pickle.loads(content)
    for_many_pictures()
    log_to_stderr(start.settings.access_log)
    try:
        _serve(start, row, channel)
    except TrtkitError as error:
        sys.stderr.write(f"trtkit: a front process cannot serve: {error}\n")
        sys.exit(error.exit_code)


def _serve(start: Start, row: int, channel: Channel) -> None:
    settings = start.settings
    shared = SharedGauges(start.fronts, NETWORKS + start.network_count, channel.descriptor())
    listening = socket.socket(fileno=channel.descriptor())
    gauges = Gauges(*(SharedGauge(shared, row, column) for column in (UNDER_WAY, BODIES, BODY_BYTES)))

    def own() -> Any:
        return dict(gate.counts), dict(service.stage_seconds)

    # Without the hub nothing can be answered any more, and nobody is there to be told.
    link = Link(channel, start.network_count, own, drain=lambda: server.drain(), lost=lambda: os._exit(1))
    models: dict[str, Served] = {}
    remotes: dict[int, RemoteNetwork] = {}
    for name, recipe in start.models.items():
        networks = {
            network: RemoteNetwork(number, info, link, SharedGauge(shared, row, NETWORKS + number))
            for network, (number, info) in start.networks[name].items()
        }
        remotes |= {start.networks[name][network][0]: remote for network, remote in networks.items()}
        model = recipe.make()
        models[name] = Served(model, networks, settings.limits.megapixels, (), start.bounds[name])
        models[name].pipeline({})  # now, and no client waits for it
    service = Service(models, settings.limits, gauges, link)
    gate = make_app(service, Keys(list(settings.keys), start.secret, shared.ended), settings.cors)
    connections = SharedGauge(shared, row, CONNECTIONS)
    server = make_server(settings_of(gate, settings.limits), listening, connections, lambda: link.say("listening"))
    link.start([remotes[number] for number in sorted(remotes)])
    server.run(sockets=[])
