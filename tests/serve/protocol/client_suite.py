"""What an unmodified tritonclient gets from a server of the Open Inference Protocol: the same from trtkit and Triton.

Not collected with the project's tests: test_clients.py runs it in the environment that has tritonclient, once for each
server, which is named by $SUITE_URL. Pictures that come back are left in the folder $SUITE_OUT.
"""

import asyncio
import http.client
import io
import json
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from PIL import Image
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

URL = os.environ["SUITE_URL"]
OUT = Path(os.environ["SUITE_OUT"])
PHOTO = Path(os.environ["SUITE_PHOTO"]).read_bytes()

NUMBERS = {
    "bool": np.array([[True, False, True]]),
    "uint8": np.array([[0, 7, 255]], np.uint8),
    "int8": np.array([[-128, 0, 127]], np.int8),
    "uint16": np.array([[0, 1, 65535]], np.uint16),
    "int16": np.array([[-32768, 0, 32767]], np.int16),
    "uint32": np.array([[0, 1, 2**32 - 1]], np.uint32),
    "int32": np.array([[-(2**31), 0, 2**31 - 1]], np.int32),
    "uint64": np.array([[0, 1, 2**63]], np.uint64),
    "int64": np.array([[-(2**63), 0, 2**63 - 1]], np.int64),
    "float16": np.array([[-65504, 0.333, 1e-7]], np.float16),
    "float32": np.array([[-3.4e38, 0.1, 1e-45]], np.float32),
    "float64": np.array([[-1.7e308, 0.1, 5e-324]], np.float64),
}
"""One input of model zoo_numbers each; its output NAME_out is the same again."""


@pytest.fixture(scope="module")
def client():
    with triton.InferenceServerClient(URL, concurrency=4, network_timeout=60, connection_timeout=10) as client:
        yield client


def tensor(name, array, binary=True):
    sent = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    sent.set_data_from_numpy(array, binary_data=binary)
    return sent


def numbers(binary=True, **other):
    """Every input of zoo_numbers; JSON has no word for FP16, which is always sent as binary."""
    return [tensor(name, array, binary or name == "float16") for name, array in {**NUMBERS, **other}.items()]


def picture(*files):
    return tensor("image", np.array([[data] for data in files], object))


def raw(method, path, body=b"", **headers):
    """(status, headers, body) of a request that no client of Triton's would send."""
    connection = http.client.HTTPConnection(URL, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


# Health, metadata, configuration, repository


def test_it_is_live_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()


def test_the_server_names_its_extensions(client):
    extensions = client.get_server_metadata()["extensions"]
    assert {"binary_tensor_data", "model_configuration", "model_repository", "statistics"} <= set(extensions)


@pytest.mark.parametrize("version", ["", "1"])
def test_models_are_ready_and_unknown_ones_are_not(client, version):
    for model in ("zoo_numbers", "zoo_fixed", "cv_unet", "cv_unet_matting"):
        assert client.is_model_ready(model, version)
    assert not client.is_model_ready("nobody", version)
    assert not client.is_model_ready("zoo_numbers", "7")


@pytest.mark.parametrize("version", ["", "1"])
def test_a_network_states_its_tensors(client, version):
    metadata = client.get_model_metadata("cv_unet_matting", version)
    assert (metadata["name"], metadata["versions"]) == ("cv_unet_matting", ["1"])
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert metadata["outputs"] == [{"name": "alpha", "datatype": "UINT8", "shape": [-1, -1, -1, 1]}]


def test_every_datatype_has_its_name(client):
    inputs = client.get_model_metadata("zoo_numbers")["inputs"]
    found = {one["name"]: (one["datatype"], one["shape"]) for one in inputs}
    assert found == {name: (np_to_triton_dtype(array.dtype), [-1, -1]) for name, array in NUMBERS.items()}


def test_a_pipeline_takes_and_gives_files(client):
    metadata = client.get_model_metadata("cv_unet")
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1, 1]}]
    assert metadata["outputs"] == [{"name": "result", "datatype": "BYTES", "shape": [-1, 1]}]


def test_a_network_without_a_batch_axis_has_its_fixed_shape(client):
    assert client.get_model_metadata("zoo_fixed")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [2, 3]}]
    assert client.get_model_config("zoo_fixed")["max_batch_size"] == 0


def test_the_configuration_has_the_largest_batch_and_the_axes_behind_it(client):
    config = client.get_model_config("cv_unet_matting")
    assert (config["name"], config["max_batch_size"]) == ("cv_unet_matting", 2)
    (image,), (alpha,) = config["input"], config["output"]
    assert (image["name"], image["data_type"], image["dims"]) == ("image", "TYPE_UINT8", [-1, -1, 3])
    assert (alpha["name"], alpha["data_type"], alpha["dims"]) == ("alpha", "TYPE_UINT8", [-1, -1, 1])
    assert client.get_model_config("cv_unet")["input"][0]["data_type"] == "TYPE_STRING"


def test_the_index_lists_every_model_with_its_state(client):
    found = {one["name"]: (one["version"], one["state"]) for one in client.get_model_repository_index()}
    assert found == dict.fromkeys(("zoo_numbers", "zoo_fixed", "cv_unet", "cv_unet_matting"), ("1", "READY"))
    status, _, body = raw("POST", "/v2/repository/index", b'{"ready": true}')
    assert (status, len(json.loads(body))) == (200, 4)


def test_models_cannot_be_loaded_or_unloaded(client):
    for change in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="not allowed") as refused:
            change("zoo_numbers")
        assert refused.value.status() == "503"


# Tensors, binary and JSON


FORMS = [
    (name, in_binary, out_binary)
    for name in NUMBERS
    for in_binary in (True, False)
    for out_binary in (True, False)
    if out_binary or name != "float16"  # JSON has no word for FP16: see the test of its refusal
]


@pytest.mark.parametrize(("name", "in_binary", "out_binary"), FORMS)
def test_every_datatype_comes_back_as_it_was_sent(client, name, in_binary, out_binary):
    wanted = triton.InferRequestedOutput(f"{name}_out", binary_data=out_binary)
    answer = client.infer("zoo_numbers", numbers(in_binary), outputs=[wanted])
    array = answer.as_numpy(f"{name}_out")
    assert array.dtype == NUMBERS[name].dtype
    np.testing.assert_array_equal(array, NUMBERS[name])
    assert ("parameters" in answer.get_output(f"{name}_out")) == out_binary


def test_without_named_outputs_all_come(client):
    answer = client.infer("zoo_numbers", numbers())
    assert {one["name"] for one in answer.get_response()["outputs"]} == {f"{name}_out" for name in NUMBERS}
    for name, array in NUMBERS.items():
        np.testing.assert_array_equal(answer.as_numpy(f"{name}_out"), array)


def test_named_outputs_come_in_both_forms_at_once(client):
    wanted = [
        triton.InferRequestedOutput("int64_out", binary_data=False),
        triton.InferRequestedOutput("uint8_out", binary_data=True),
    ]
    answer = client.infer("zoo_numbers", numbers(), outputs=wanted)
    assert {one["name"] for one in answer.get_response()["outputs"]} == {"int64_out", "uint8_out"}
    np.testing.assert_array_equal(answer.as_numpy("int64_out"), NUMBERS["int64"])
    np.testing.assert_array_equal(answer.as_numpy("uint8_out"), NUMBERS["uint8"])


def test_the_id_and_the_version_come_back(client):
    answer = client.infer("zoo_numbers", numbers(), model_version="1", request_id="request-7").get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("request-7", "zoo_numbers", "1")
    assert "id" not in client.infer("zoo_numbers", numbers()).get_response()


def test_several_rows_are_a_batch(client):
    rows = {name: np.repeat(array, 2, axis=0) for name, array in NUMBERS.items()}
    rows["int32"] = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    answer = client.infer("zoo_numbers", [tensor(name, array) for name, array in rows.items()])
    np.testing.assert_array_equal(answer.as_numpy("int32_out"), rows["int32"])


def test_a_network_without_a_batch_axis_runs(client):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(client.infer("zoo_fixed", [tensor("x", x)]).as_numpy("y"), x + 1)


def test_json_may_nest(client):
    entry = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [[1, 2, 3], [4, 5, 6.5]]}
    status, _, body = raw("POST", "/v2/models/zoo_fixed/infer", json.dumps({"inputs": [entry]}).encode())
    assert status == 200, body
    output = json.loads(body)["outputs"][0]
    assert (output["shape"], output["data"]) == ([2, 3], [2, 3, 4, 5, 6, 7.5])


def test_many_at_once_each_get_their_own(client):
    waiting = [
        client.async_infer("zoo_numbers", numbers(int32=np.array([[at, 2, 3]], np.int32)), request_id=str(at))
        for at in range(24)
    ]
    for at, one in enumerate(waiting):
        answer = one.get_result()
        assert answer.get_response()["id"] == str(at)
        assert answer.as_numpy("int32_out")[0, 0] == at


def test_the_asynchronous_client_works_too():
    async def ask():
        async with triton_aio.InferenceServerClient(URL) as client:
            answer = await client.infer(
                "zoo_numbers", numbers(), request_compression_algorithm="gzip", response_compression_algorithm="gzip"
            )
            return answer.as_numpy("float64_out")

    np.testing.assert_array_equal(asyncio.run(ask()), NUMBERS["float64"])


# Compression


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize("answered", [None, "gzip", "deflate"])
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
def test_bodies_may_be_compressed(client, sent, answered, binary):
    answer = client.infer(
        "zoo_numbers",
        numbers(binary),
        outputs=[triton.InferRequestedOutput("int64_out", binary_data=binary)],
        request_compression_algorithm=sent,
        response_compression_algorithm=answered,
    )
    np.testing.assert_array_equal(answer.as_numpy("int64_out"), NUMBERS["int64"])


@pytest.mark.parametrize(("accept", "encoding"), [("gzip", "gzip"), ("deflate", "deflate"), ("br", None), ("", None)])
def test_an_answer_is_compressed_where_that_is_accepted(accept, encoding):
    entry = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [0] * 6}
    body = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    status, headers, content = raw("POST", "/v2/models/zoo_fixed/infer", body, Accept_Encoding=accept)
    assert (status, headers.get("content-encoding")) == (200, encoding)
    if encoding:
        content = zlib.decompress(content, 47)
    length = int(headers["inference-header-content-length"])  # of what it is before it is compressed
    assert json.loads(content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 24}
    assert content[length:] == struct.pack("<6f", *[1] * 6)


def test_an_unknown_encoding_is_501():
    assert raw("POST", "/v2/models/zoo_fixed/infer", b"x", Content_Encoding="br")[0] == 501


# Errors


def other(name, array, datatype=None):
    """zoo_numbers' inputs with one in another form."""
    sent = triton.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    sent.set_data_from_numpy(array)
    return [*(one for one in numbers() if one.name() != name), sent]


ERRORS = {
    "unknown model": (("nobody", numbers), {}, "404", "unknown model: 'nobody'"),
    "unknown version": (("zoo_numbers", numbers), {"model_version": "7"}, "404", "'zoo_numbers' version 7"),
    "wrong datatype": (("zoo_numbers", lambda: other("int32", np.zeros((1, 3), np.int64))), {}, "400", "int32"),
    "missing input": (("zoo_numbers", lambda: numbers()[1:]), {}, "400", "'?zoo_numbers"),
    "unknown input": (("zoo_numbers", lambda: [*numbers(), tensor("z", np.zeros((1, 1)))]), {}, "400", "'z'"),
    "input twice": (("zoo_fixed", lambda: [tensor("x", np.zeros((2, 3), np.float32))] * 2), {}, "400", "'x'"),
    "unknown output": (
        ("zoo_numbers", numbers),
        {"outputs": [triton.InferRequestedOutput("nothing")]},
        "400",
        "'nothing'",
    ),
    "wrong rank": (("zoo_fixed", lambda: [tensor("x", np.zeros(6, np.float32))]), {}, "400", "'x'"),
    "wrong size": (("zoo_fixed", lambda: [tensor("x", np.zeros((2, 4), np.float32))]), {}, "400", "'x'"),
    "wrong channels": (
        ("cv_unet_matting", lambda: [tensor("image", np.zeros((1, 256, 256, 4), np.uint8))]),
        {},
        "400",
        "'image'",
    ),
    "batch too large": (
        ("cv_unet_matting", lambda: [tensor("image", np.zeros((3, 64, 64, 3), np.uint8))]),
        {},
        "400",
        "batch-size must be <= 2",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_a_mistake_has_its_status_and_a_sentence(client, what):
    (model, inputs), options, status, words = ERRORS[what]
    with pytest.raises(InferenceServerException, match=words) as refused:
        client.infer(model, inputs(), **options)
    assert refused.value.status() == status
    assert client.is_server_ready()


RAW_ERRORS = {
    "no JSON": (b'{"inputs": [', {}, {400, 500}),
    "not an object": (b"[]", {}, {400, 500}),
    "no inputs": (b"{}", {}, {400, 500}),
    "a negative axis": (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-2], "data": []}]}', {}, {400, 500}),
    "too few in JSON": (
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1]}]}',
        {},
        {400, 500},
    ),
    "no data": (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3]}]}', {}, {400}),
    "a header past the end": (b"{}", {"Inference_Header_Content_Length": "999"}, {400}),
}
"""Triton answers 500 to JSON it cannot read; trtkit says 400, since it is the client's mistake."""


@pytest.mark.parametrize("what", RAW_ERRORS)
def test_what_no_client_sends_is_refused_in_json(client, what):
    body, headers, statuses = RAW_ERRORS[what]
    status, _, content = raw("POST", "/v2/models/zoo_fixed/infer", body, **headers)
    assert status in statuses
    assert json.loads(content)["error"]
    assert client.is_server_ready()


@pytest.mark.parametrize(("size", "tail"), [(24, b"123"), (24, b"x" * 27), (20, b"x" * 20), (24, b"")])
def test_raw_tensors_of_another_size_are_refused(size, tail):
    entry = {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [entry]}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    status, _, content = raw("POST", "/v2/models/zoo_fixed/infer", head + tail, **length)
    assert status == 400
    assert json.loads(content)["error"]


def test_fp16_in_json_is_refused(client):
    wanted = triton.InferRequestedOutput("float16_out", binary_data=False)
    with pytest.raises(InferenceServerException, match="FP16") as refused:
        client.infer("zoo_numbers", numbers(), outputs=[wanted])
    assert refused.value.status() == "400"


def test_get_is_not_how_one_infers():
    assert raw("GET", "/v2/models/zoo_fixed/infer")[0] == 405
    assert raw("GET", "/v2/repository/index")[0] == 405


def test_an_unknown_path_is_404():
    assert raw("GET", "/v2/nothing")[0] == 404
    assert raw("GET", "/v2/models/nobody/config")[0] == 404


# Statistics


def test_statistics_count_what_was_asked(client):
    def count():
        (one,) = client.get_inference_statistics("zoo_fixed")["model_stats"]
        assert (one["name"], one["version"]) == ("zoo_fixed", "1")
        return one["inference_stats"]["success"]["count"], one["execution_count"]

    before = count()
    for _ in range(3):
        client.infer("zoo_fixed", [tensor("x", np.zeros((2, 3), np.float32))])
    # A real tritonserver counts a request after it has answered it.
    wanted, until = (before[0] + 3, before[1] + 3), time.monotonic() + 10
    while (after := count()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert after == wanted
    assert {"zoo_fixed", "cv_unet"} <= {one["name"] for one in client.get_inference_statistics()["model_stats"]}


def test_statistics_of_nobody_are_an_error(client):
    with pytest.raises(InferenceServerException) as refused:
        client.get_inference_statistics("nobody")
    assert refused.value.status() == "400"


# Pictures


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_photograph_becomes_a_cut_out(client):
    answer = client.infer("cv_unet", [picture(PHOTO)], parameters={"size": 256}).as_numpy("result")
    assert answer.shape == (1, 1)
    cut = pixels(answer[0, 0])
    height, width = pixels(PHOTO).shape[:2]
    assert cut.shape == (height, width, 4)
    assert cut[..., 3].min() < 32
    assert cut[..., 3].max() > 223
    (OUT / "cutout.png").write_bytes(answer[0, 0])


def test_options_are_parameters(client):
    parameters = {"size": 256, "alpha_only": True, "format": "webp"}
    answer = client.infer("cv_unet", [picture(PHOTO)], parameters=parameters).as_numpy("result")[0, 0]
    assert Image.open(io.BytesIO(answer)).format == "WEBP"
    parameters = {"size": 256, "background": "white", "format": "jpeg"}
    answer = client.infer("cv_unet", [picture(PHOTO)], parameters=parameters).as_numpy("result")[0, 0]
    assert Image.open(io.BytesIO(answer)).format == "JPEG"
    assert (pixels(answer)[0, 0] > 240).all()


def test_two_photographs_in_one_request_give_two_results(client):
    half = io.BytesIO()
    Image.open(io.BytesIO(PHOTO)).resize((96, 64)).save(half, "PNG")
    sent = picture(PHOTO, half.getvalue())
    answer = client.infer("cv_unet", [sent], parameters={"size": 256}).as_numpy("result")
    assert answer.shape == (2, 1)
    assert pixels(answer[0, 0]).shape == (*pixels(PHOTO).shape[:2], 4)
    assert pixels(answer[1, 0]).shape == (64, 96, 4)


def test_a_photograph_comes_in_a_compressed_body_too(client):
    answer = client.infer(
        "cv_unet", [picture(PHOTO)], parameters={"size": 256}, request_compression_algorithm="deflate"
    ).as_numpy("result")
    assert pixels(answer[0, 0]).shape[2] == 4


@pytest.mark.parametrize(
    ("data", "parameters", "words"),
    [
        (b"hello", {}, "not an image that can be read"),
        (b"", {}, "is empty"),
        (PHOTO[:5000], {}, "cut short or damaged"),
        (PHOTO, {"speed": 11}, "option 'speed' is not one of cv_unet's"),
        (PHOTO, {"size": 5}, "a whole number from 256 to 1024"),
        (PHOTO, {"format": "gif"}, "right would be png, webp, jpeg"),
        (PHOTO, {"format": "jpeg"}, "has no transparency"),
        (PHOTO, {"background": "/etc/hostname"}, "right would be a colour"),
    ],
)
def test_a_picture_that_cannot_be_done_is_400(client, data, parameters, words):
    with pytest.raises(InferenceServerException, match=words) as refused:
        client.infer("cv_unet", [picture(data)], parameters={"size": 256, **parameters})
    assert refused.value.status() == "400"


def test_the_network_alone_gives_a_matte(client):
    image = np.asarray(Image.open(io.BytesIO(PHOTO)).convert("RGB").resize((256, 256)))[None]
    alpha = client.infer("cv_unet_matting", [tensor("image", image)]).as_numpy("alpha")
    assert (alpha.shape, alpha.dtype) == ((1, 256, 256, 1), np.uint8)
    assert alpha.max() > 223
