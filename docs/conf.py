"""Sphinx settings of the site; tools/build_site.py assembles its sources and starts the build."""

import re
from pathlib import Path

from docutils import nodes
from docutils.transforms import Transform
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

project = "Deep anomaly detection, checked"
html_title = project
language = "en"
root_doc = "index"
extensions = ["myst_nb"]
exclude_patterns = ["**.ipynb_checkpoints"]
highlight_language = "text"  # of blocks that name no language

# Pages show the stored outputs; nothing is run.
nb_execution_mode = "off"
# The scripts of widgets would come from another host: their text is shown instead.
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

myst_enable_extensions = ["alert", "amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 4  # as GitHub names them, so that links to headings lead there on both
myst_update_mathjax = False
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": project},
    "footer_content_items": [],
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search stands in the sidebar already
}


def show_inline_formula(translator, node):
    add_formula(translator, node, as_block=False)


def show_block_formula(translator, node):
    add_formula(translator, node, as_block=True)


def add_formula(translator, node, as_block):
    """Write a formula as MathML, which browsers draw by themselves: MathJax would come from another host."""
    try:
        translator.body.append(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", node.astext(), error, location=node)
    raise nodes.SkipNode


class AcceptHtmlAnchors(Transform):
    """Let links lead to `<a id="…"></a>`, the anchors that GitHub understands, as they do to headings."""

    default_priority = 870  # before MyST-Parser resolves links within a page (879)

    def apply(self):
        slugs = getattr(self.document, "myst_slugs", {})
        for raw in self.document.findall(nodes.raw):
            for anchor in re.findall(r'<a id="([^"]+)"', raw.astext()):
                slugs.setdefault(anchor, (0, anchor, ""))


def setup(app):
    app.add_html_math_renderer("mathml", (show_inline_formula, None), (show_block_formula, None))
    app.add_transform(AcceptHtmlAnchors)
