#!/usr/bin/env bash
# Simulates an observation, sends it over one UDP stream, receives it, and compares.
# Another port than the configuration's: PORT=45678 ./run.sh
set -euo pipefail
cd "${1:-$(dirname "$0")}"
config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/config.yaml
port=(${PORT:+-o "reception.port_start=$PORT"})
target=(${PORT:+-o "transmission.target_port_start=$PORT"})

mkdir -p output
emu-simulate --array meerkat --num-antennas 8 --integrations 10 --interval 2 --channels 16 \
    --noise 0.1 --overwrite output/sim.ms

rm -f output/ready
emu-recv -c "$config" "${port[@]}" --ready-file output/ready &
receiver=$!
trap 'kill $receiver 2>/dev/null || true' EXIT
until [ -e output/ready ]; do kill -0 $receiver; sleep 0.1; done

emu-send -c "$config" "${target[@]}" output/sim.ms
wait $receiver
trap - EXIT

ms-diff --round-trip output/sim.ms output/received.ms
