# Ganvas in a container, on a CPU or on GPUs.
#
#   docker build -t ganvas .                                                                  CPU
#   docker build -t ganvas --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04 --build-arg TORCH_INDEX_URL= .      GPUs
#   docker run --rm -v "$PWD/checkpoints:/ganvas/checkpoints" -v "$PWD/results:/ganvas/results" ganvas \
#       python train.py --model cgan --dataroot rps_mini
#
# With GPUs: docker run --gpus all --shm-size 2g ... (PyTorch's wheels bring CUDA's libraries; the base brings the rest).
ARG BASE=debian:trixie-slim
FROM ${BASE}

# Where torch comes from: the small builds without CUDA; empty takes PyPI's, with CUDA.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV TORCH_INDEX_URL=${TORCH_INDEX_URL} PYTHONUNBUFFERED=1

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /ganvas

# First what changes rarely, so that a new version of the code does not install all packages again.
COPY requirements.txt requirements-dev.txt requirements-visdom-py311.txt constraints.txt ./
COPY scripts/setup.sh scripts/
RUN bash scripts/setup.sh

COPY . .
ENV PATH=/ganvas/.venv/bin:${PATH}
CMD ["python", "test.py", "--help"]
