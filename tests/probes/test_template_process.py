"""Chat templates are programs of others: they get so much time and memory, and no more."""

import os
import time

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.template_process import TemplateRenderer

ENDLESS = {
    "a power": "{{ 9**(9**9) }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
}
GREEDY = {
    "doubled strings": "{% set ns = namespace(s='x' * 1024) %}"
    "{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s | length }}",
    "a long string": "{{ 'x' * 10**12 }}",
    "a wide field": "{{ '%99999999999d' % 1 }}",
}


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_a_template_that_does_not_end_is_killed(template: str) -> None:
    with TemplateRenderer(time_limit=0.5) as renderer:
        assert renderer.render("{{ 1 + 1 }}", {}) == "2"
        started = time.monotonic()
        with pytest.raises(ProbeError, match="took more than"):
            renderer.render(template, {})
        assert time.monotonic() - started < 60
        assert renderer.render("{{ x }}", {"x": "again"}) == "again"


@pytest.mark.parametrize("template", GREEDY.values(), ids=GREEDY)
def test_a_template_gets_so_much_memory(template: str) -> None:
    with TemplateRenderer(memory_limit=1 << 28) as renderer:
        with pytest.raises(
            ProbeError, match=r"chat template failed: .*(MiB|memory|characters|int)"
        ):
            renderer.render(template, {})
        assert renderer.render("{{ 1 + 1 }}", {}) == "2"


def test_a_prompt_longer_than_any_context_is_refused() -> None:
    with (
        TemplateRenderer() as renderer,
        pytest.raises(ProbeError, match="writes more than 16,777,216 characters"),
    ):
        renderer.render("{{ 'x' * 20000000 }}", {})


def test_what_a_template_refuses_is_one_harmless_line() -> None:
    with TemplateRenderer() as renderer, pytest.raises(ProbeError) as error:
        renderer.render("{{ raise_exception('a\nb' ~ '\x1b[2J' ~ 'c' * 9999) }}", {})
    assert len(str(error.value)) < 400
    assert "\x1b" not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_process_ends_with_the_renderer() -> None:
    renderer = TemplateRenderer()
    renderer.render("", {})
    assert renderer._process is not None
    number = renderer._process.pid
    del renderer
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
