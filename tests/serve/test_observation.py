"""/metrics in Prometheus' own form under Triton's names, and one log line a request."""

import json
import logging

from prometheus_client.parser import text_string_to_metric_families

from trtkit.serve import gpu_memory
from trtkit.serve.running import JsonLines

from .tiny import photo


def _samples(text: str) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_what_happened_under_tritons_names(serve):
    async def test(client, service):
        for _ in range(3):
            await client.post("/v1/cv_unet", content=photo(64, 64))
        await client.post("/v1/cv_unet", content=b"")
        samples = _samples((await client.get("/metrics")).text)
        name = ("1", "cv_unet_matting")
        assert samples["nv_inference_request_success", *name] == 3
        assert samples["nv_inference_request_failure", *name] == 0
        assert samples["nv_inference_count", *name] == 3
        assert samples["nv_inference_exec_count", *name] == 3
        for duration in ("request", "queue", "compute_infer"):
            assert samples[f"nv_inference_{duration}_duration_us", *name] >= 0
        assert samples["trtkit_batch_size_sum", "cv_unet_matting"] == 3
        assert samples["trtkit_batch_size_bucket", "1.0", "cv_unet_matting"] == 3
        assert samples["trtkit_answers_total", "/v1/{model}", "200"] == 3
        assert samples["trtkit_answers_total", "/v1/{model}", "400"] == 1
        assert samples["trtkit_stage_seconds_count", "cv_unet", "encode"] == 3
        assert samples["trtkit_requests_under_way",] == 0
        assert samples["process_resident_memory_bytes",] > 0

    # Label values are sorted by value: '200' comes after '/v1/{model}'.
    serve(test)


def test_each_request_is_one_json_line_with_its_id(serve, caplog):
    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers={"x-request-id": "abc-1"})
        assert answer.headers["x-request-id"] == "abc-1"
        await client.post("/v1/cv_unet", content=b"")

    with caplog.at_level("INFO", "trtkit.serve.access"):
        serve(test)
    form = JsonLines()
    good, bad = (json.loads(form.format(r)) for r in caplog.records if r.name == "trtkit.serve.access")
    assert (good["id"], good["status"], good["path"], good["model"]) == ("abc-1", 200, "/v1/cv_unet", "cv_unet")
    assert set(good["stages_ms"]) == {"queue", "decode", "resize", "run", "upsample", "compose", "encode"}
    assert bad["status"] == 400
    assert bad["error"].startswith("the picture is empty")


def test_other_messages_are_json_lines_too():
    record = logging.LogRecord("trtkit.serve", logging.WARNING, "f", 1, "a %s", ("b",), None)
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"]) == ("warning", "a b")


class FakeNvml:
    """NVML of a machine with two GPUs, which this one does not have: the calls and structures are NVML's own."""

    def __init__(self, used: list[int], total: int) -> None:
        self._used, self._total = used, total

    def nvmlDeviceGetCount_v2(self, count) -> int:  # noqa: N802
        count._obj.value = len(self._used)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, device) -> int:  # noqa: N802
        device._obj.value = number + 1
        return 0

    def nvmlDeviceGetMemoryInfo(self, device, memory) -> int:  # noqa: N802
        memory._obj.used, memory._obj.total = self._used[device.value - 1], self._total
        return 0


def test_the_memory_of_each_gpu_is_a_metric(serve, monkeypatch):
    monkeypatch.setattr(gpu_memory, "_nvml", lambda: FakeNvml([5 << 30, 0], 24 << 30))

    async def test(client, service):
        samples = _samples((await client.get("/metrics")).text)
        assert samples["nv_gpu_memory_used_bytes", "0"] == 5 << 30
        assert samples["nv_gpu_memory_used_bytes", "1"] == 0
        assert samples["nv_gpu_memory_total_bytes", "1"] == 24 << 30

    serve(test)
