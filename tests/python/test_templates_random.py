"""Random templates: the same bytes as Jinja2, or an error where it raises one. Arguments of a senseless type, which
Python happens to let pass now and then, may be refused."""

import random

import template_generator
import template_support as support
from test_templates_snippets import CONTEXT, differing, ours, report  # noqa: F401 (a fixture)


def test_random_templates(ours):  # noqa: F811
    rng = random.Random(2)
    templates = [template_generator.Generator(rng).body(i % 4) for i in range(400)]
    rendered = sum(support.theirs(template, CONTEXT) is not None for template in templates)
    assert rendered > 100, "most templates fail: that compares little"
    different = differing(ours, templates)
    wrong = [case for case in different if case[2].get("error") != "usage"]
    assert not wrong, f"{len(wrong)} of {len(templates)} differ:\n{report(wrong)}"
    assert len(different) < len(templates) // 100, report(different)
