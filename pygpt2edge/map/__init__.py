"""A task for every record of a file: texts, scores, choices or vectors, in order, resumable.

from pygpt2edge import GPT2, SamplingParams
from pygpt2edge.map import Generate, map_file

map_file(GPT2(), "prompts.jsonl", "texts.jsonl", Generate(SamplingParams(max_tokens=32)))
"""

from pygpt2edge.map.run import MapReport, map_file
from pygpt2edge.map.tasks import Embed, Generate, Rank, Score, Task

__all__ = ["Embed", "Generate", "MapReport", "Rank", "Score", "Task", "map_file"]
