#!/usr/bin/env bash
# Two receivers on one multicast group: one sender, two Measurement Sets, both complete.
# Another port than the configuration's: PORT=45678 ./run.sh
set -euo pipefail
cd "${1:-$(dirname "$0")}"
config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/config.ini
port=(${PORT:+-o "reception.port_start=$PORT"})
target=(${PORT:+-o "transmission.target_port_start=$PORT"})

mkdir -p output
emu-simulate --array meerkat --num-antennas 8 --integrations 10 --interval 2 --channels 16 \
    --noise 0.1 --overwrite output/sim.ms

receivers=()
trap 'kill "${receivers[@]}" 2>/dev/null || true' EXIT
for name in first second; do
    rm -f "output/ready-$name"
    emu-recv -c "$config" "${port[@]}" -o "reception.outputfilename=output/$name.ms" \
        --ready-file "output/ready-$name" &
    receivers+=($!)
done
for i in 0 1; do
    names=(first second)
    until [ -e "output/ready-${names[$i]}" ]; do kill -0 "${receivers[$i]}"; sleep 0.1; done
done

emu-send -c "$config" "${target[@]}" output/sim.ms
wait "${receivers[0]}"
wait "${receivers[1]}"
trap - EXIT

ms-diff --round-trip output/sim.ms output/first.ms
ms-diff --round-trip output/sim.ms output/second.ms
