"""Reads config.pbtxt files by Triton's own message definition, as tritonclient ships it, and prints them as JSON.

Run by test_triton.py in the environment that has tritonclient.
"""

import importlib.util
import json
import sys
from pathlib import Path

from google.protobuf import json_format, text_format

# By its file: the package around it wants gRPC.
client = Path(importlib.util.find_spec("tritonclient").submodule_search_locations[0])
spec = importlib.util.spec_from_file_location("model_config_pb2", client / "grpc" / "model_config_pb2.py")
definition = importlib.util.module_from_spec(spec)
spec.loader.exec_module(definition)

found = {}
for path in sys.argv[1:]:
    message = text_format.Parse(Path(path).read_text(), definition.ModelConfig())
    found[path] = json_format.MessageToDict(message, preserving_proto_field_name=True)
print(json.dumps(found))
