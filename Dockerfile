# syntax=docker/dockerfile:1
# trtkit serve in a container: docker build --target cpu|cuda|tensorrt -t trtkit:TARGET .
#   cpu       ONNX Runtime on the CPU (the default)
#   cuda      ONNX Runtime on an NVIDIA GPU
#   tensorrt  the same, and TensorRT for engines that were built on that kind of GPU
# No snapshot, checkpoint or artifact goes in: they are mounted at /artifacts. Without any, the small networks that the
# trtkit package itself carries are served. docs/scale-out.md says how to run it.

ARG PYTHON_IMAGE=python:3.12-slim
# onnxruntime-gpu 1.31 wants CUDA 13 and cuDNN 9; pycuda is compiled, which takes the toolkit.
ARG CUDA_BUILD_IMAGE=nvidia/cuda:13.0.2-cudnn-devel-ubuntu24.04
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

FROM ${PYTHON_IMAGE} AS build-cpu
RUN python -m venv /opt/trtkit
ENV PATH=/opt/trtkit/bin:${PATH} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt engines.yaml ./
COPY trtkit trtkit
RUN pip install -c constraints.txt '.[cpu,hrn,serve]'

FROM ${CUDA_BUILD_IMAGE} AS build-cuda
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/trtkit
ENV PATH=/opt/trtkit/bin:${PATH} LIBRARY_PATH=/usr/local/cuda/lib64/stubs PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt engines.yaml ./
COPY trtkit trtkit
RUN pip install -c constraints.txt '.[cuda,hrn,serve]'

FROM build-cuda AS build-tensorrt
RUN pip install -c constraints.txt '.[cuda,hrn,tensorrt,serve]'

FROM ${CUDA_IMAGE} AS run-cuda
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin trtkit \
    && install --directory --owner=10001 /artifacts

FROM run-cuda AS cuda
COPY --from=build-cuda /opt/trtkit /opt/trtkit
ENV PATH=/opt/trtkit/bin:${PATH} PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["trtkit", "serve", "--host", "0.0.0.0", "--port", "8000", "--artifacts", "/artifacts"]

FROM run-cuda AS tensorrt
COPY --from=build-tensorrt /opt/trtkit /opt/trtkit
ENV PATH=/opt/trtkit/bin:${PATH} PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["trtkit", "serve", "--host", "0.0.0.0", "--port", "8000", "--artifacts", "/artifacts"]

FROM ${PYTHON_IMAGE} AS cpu
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin trtkit \
    && install --directory --owner=10001 /artifacts
COPY --from=build-cpu /opt/trtkit /opt/trtkit
ENV PATH=/opt/trtkit/bin:${PATH} PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["trtkit", "serve", "--host", "0.0.0.0", "--port", "8000", "--artifacts", "/artifacts", "--backend", "cpu"]
