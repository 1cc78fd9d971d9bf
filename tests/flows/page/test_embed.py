"""Embedding: no text can end the element that it stands in, or begin another."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from flows.page import assets
from flows.page.embed import as_json, packed, policy


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json(value: object):
    """What is embedded is what was given, with no character that HTML or a script's parser takes for more than text."""
    text = as_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_what_ends_a_script():
    """The ends and beginnings that an HTML parser looks for within a script are escaped."""
    text = as_json({"</script>": "<!--<script>]]>&lt;"})
    assert text == r'{"\u003c/script\u003e":"\u003c!--\u003cscript\u003e]]\u003e\u0026lt;"}'


def test_packed():
    """What is packed is base64 of deflate without a header, as browsers unpack `deflate-raw`."""
    data = "ä\u2028</script>".encode() * 1_000
    text = packed(data)
    assert zlib.decompress(base64.b64decode(text, validate=True), wbits=-zlib.MAX_WBITS) == data
    assert len(text) < len(data) / 20


def test_policy():
    """Scripts and styles are let run by their hashes alone; everything else is refused from the start."""
    said = dict(each.split(" ", 1) for each in policy(scripts=["a", "b"], styles=["c"]).split("; "))
    assert said["default-src"] == "'none'"
    digests = [f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in (b"a", b"b", b"c")]
    assert said["script-src"].split() == digests[:2]
    assert said["style-src"] == digests[2]
    assert not any(word in " ".join(said.values()) for word in ("unsafe", "http", "*", "blob:", "connect"))


def test_the_library_is_what_it_says():
    """The charts' library is, byte for byte, what `make charts` wrote down, with its licences beside it."""
    vendor = assets.FOLDER / "vendor"
    said = json.loads((vendor / "echarts.json").read_text())
    assert hashlib.sha256((vendor / "echarts.min.js").read_bytes()).hexdigest() == said["sha256"]
    assert (
        said["version"]
        == json.loads((assets.FOLDER.parents[1] / "deploy/charts/package.json").read_text())["dependencies"]["echarts"]
    )
    licences = (vendor / "echarts.LICENSE").read_text()
    assert all(words in licences for words in ("Apache License", "Baidu Inc.", "tslib"))


def test_scripts_and_styles_stand_in_a_page():
    """Nothing that is put into the page as it is could end its element, and each script of the folder is among them."""
    for text in (assets.charts(), assets.script(), assets.style()):
        assert "</script" not in text.lower()
        assert "<!--" not in text
        assert "\r" not in text
    assert "</style" not in assets.style()
    assert {path.stem for path in (assets.FOLDER / "assets").glob("*.js")} == set(assets.SCRIPTS)


def test_the_page_makes_no_markup_of_text():
    """The page's own script uses none of the ways by which a string becomes markup or code."""
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "srcdoc"):
        assert way not in assets.script()
