"""Prompt sources: files, folders, URLs and lakes in, `Prompt` records out, one at a time.

    options     what a spec may say of a source
    read        the one way in: `read_prompts`
    prompts     a row becomes a prompt
    places      which files a source names
    splits      which files of a Hugging Face folder are a split's
    asides      which files beside them have no rows
    file        one file: opened and unpacked
    readers     what reads it, by its ending
    lines       JSONL and CSV
    arrays      JSON
    objects     one object of JSON
    tables      Parquet and Arrow
    lakes       another lake's dataset
    shown       an address without what may be secret in it
    addresses   the same, for all that a manifest names

An error names the file and the line (JSONL, CSV) or the row (JSON, Parquet, Arrow), and what is wrong there.
"""

from tasks.sources.options import Fields, PromptSource
from tasks.sources.prompts import Found
from tasks.sources.read import read_prompts

__all__ = ["Fields", "Found", "PromptSource", "read_prompts"]
