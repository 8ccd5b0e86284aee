"""Published chat templates over many conversations: every prompt has the bytes that Jinja2 gives it."""

import pytest

import template_support as support


@pytest.fixture(scope="module")
def ours():
    tool = support.Ours()
    yield tool
    tool.close()


@pytest.fixture(scope="module")
def templates(shared_data):
    folder = shared_data / "chat-templates"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}


@pytest.mark.parametrize("prompt", [False, True], ids=["closed", "generation_prompt"])
def test_published_templates(ours, templates, prompt):
    wrong, rendered = [], 0
    for name, template in templates.items():
        for label, case in support.all_cases().items():
            context = support.chat_context(case, prompt)
            expected = support.theirs(template, context)
            rendered += expected is not None
            if ours.render(template, context) != expected:
                wrong.append((name, label))
    assert not wrong, f"{len(wrong)} prompts differ: {wrong[:10]}"
    assert rendered > len(templates) * 20
