#!/bin/bash
# A Slurm job that trains on several GPUs or nodes and survives its time limit: it is requeued, and goes on where it was.
#
#   sbatch scripts/slurm.sh --model cycle_gan --dataroot horse2zebra --name horses
#
# Two minutes before the time limit Slurm sends USR1 to this script, which has all processes save at the same step, and
# puts the job back into the queue. A process that is killed is replaced by torchrun, up to MAX_RESTARTS times. Folders
# (checkpoints, datasets) must be on a file system that all nodes see.
#SBATCH --job-name=ganvas
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:-.}"
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun --nnodes="$SLURM_NNODES" --nproc_per_node="${SLURM_GPUS_ON_NODE:-1}" --max-restarts="${MAX_RESTARTS:-3}" \
  --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$first:29500" \
  train.py "$@" --resume_or_start &
work=$!

requeue() {
  kill -TERM "$work" # srun passes it on to torchrun, and that to every process
  wait "$work" || true # its status says that it was asked to stop
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
}
trap requeue USR1 TERM
wait "$work"
