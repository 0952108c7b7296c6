"""Every promise about inference that is shown by trying: ``scripts/faults infer`` prints them with figures."""

from __future__ import annotations

from tests.faults import infer_files, infer_memory, infer_networks, infer_pictures, infer_process

ROWS = (*infer_files.ROWS, *infer_memory.ROWS, *infer_pictures.ROWS, *infer_networks.ROWS, *infer_process.ROWS)
