"""Statements of Jinja: templates that begin with a brace, some of them over several lines."""

STATEMENTS = r"""
{% if yes %}a{% elif no %}b{% else %}c{% endif %}
{% if no %}a{% elif zero %}b{% elif i %}c{% else %}d{% endif %}
{% if a %}1
{% if yes %}a{% endif %}{% endif %}
{% endif %}
{% else %}
{% if %}x{% endif %}
{% if yes: %}x{% endif %}
{% if not n and (l or e) %}x{% endif %}
{% if no %}{{ 1 | nope }}{% endif %}ok
{% if yes %}{{ 1 | nope }}{% endif %}ok
{% if no %}{% for x in l %}{{ x | nope }}{% endfor %}{% endif %}ok
{{ "a" if yes else (1 | nope) }}
{{ (1 | nope) if yes else "a" }}
{% if no %}{{ 1 is nope }}{% endif %}ok
{% for x in l %}{{ x }},{% endfor %}
{% for x in el %}{{ x }}{% else %}empty{% endfor %}
{% for x in undefined_name %}{{ x }}{% else %}empty{% endfor %}
{% for x in none %}{{ x }}{% endfor %}
{% for x in 5 %}{{ x }}{% endfor %}
{% for x in s %}{{ x }}.{% endfor %}
{% for x in u %}{{ x }}.{% endfor %}
{% for k in d %}{{ k }}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}
{% for (k, v) in d.items() %}{{ k }}{% endfor %}
{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% for a, b in [[1]] %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in ["xy"] %}{{ a }}-{{ b }}{% endfor %}
{% for a, in [[1]] %}{{ a }}{% endfor %}
{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}{{ "," if not loop.last }}{% endfor %}
{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}
{% for x in l if loop.index %}{{ x }}{% endfor %}
{% for x in range(10) if x is odd %}{{ loop.length }}{{ loop.revindex }}{{ x }} {% endfor %}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}
{% for x in l %}{{ loop.cycle("a", "b") }}{% endfor %}
{% for x in l %}{{ loop.cycle() }}{% endfor %}
{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }}{% endfor %}
{% for x in l | map("string") %}{{ loop.last }}{{ loop.length }}{% endfor %}
{% for x in l | map("string") %}{{ loop.index }}/{{ loop.revindex0 }} {{ loop }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% for x in l %}{% for y in [1, 2] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in l %}{% set outer = loop %}{% for y in [1, 2] %}{{ outer.index }}.{{ loop.index }} {% endfor %}{% endfor %}
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% continue %}{% else %}else{% endfor %}
{% for x in l %}{% break %}{% else %}else{% endfor %}
{% for x in l %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% else %}else{% endfor %}
{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %};{% endfor %}
{% break %}
{% continue %}
{% for x in el %}{% else %}{% break %}{% endfor %}
{% for y in [1] %}{% for x in el %}{% else %}{% break %}{% endfor %}no{% endfor %}after
{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for x in l %}{% set y %}a{% if loop.index == 2 %}{% break %}{% endif %}{% endset %}{{ y }}{% endfor %}
{% for x in l %}{% filter upper %}a{{ x }}{% if loop.index == 2 %}{% continue %}{% endif %}{% endfilter %}{% endfor %}
{% for x in l %}{% with a = x %}{% if a == 1 %}{% break %}{% endif %}{{ a }}{% endwith %}{% endfor %}
{% for n in tree recursive %}{{ n.n }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}
{% for n in tree recursive %}{{ loop.depth }}{{ loop.depth0 }}:{{ n.n }} {{ loop(n.c) if n.c }}{% else %}E{% endfor %}
{% for n in tree if n.n != 4 recursive %}{{ n.n }}{{ loop(n.c) if n.c }}{% endfor %}
{% for x in l %}{{ loop([1]) }}{% endfor %}
{% for x in [] recursive %}{% else %}empty{% endfor %}
{% for loop in l %}{% endfor %}
{% for x in l %}{% set loop = 1 %}{% endfor %}
{% for x in l %}{% set x = x * 2 %}{{ x }}{% endfor %}
{% for x.y in l %}{% endfor %}
{% for 1 in l %}{% endfor %}
{% for x in l
{% for x l %}{% endfor %}
{% for x in l %}
{% for x in %}{% endfor %}
{% for x in 1, 2, 3 %}{{ x }}{% endfor %}
{% for x in (1, 2) if x > 1 %}{{ x }}{% endfor %}
{% for x in l if yes else el %}{{ x }}{% endfor %}
{% for x in (l if yes else el) %}{{ x }}{% endfor %}
{% for x in l recursive %}{{ x }}{% endfor %}
{% for item in {"a": {"b": 1}}.a.items() %}{{ item }}{{ item[0] }}{% endfor %}
{% for k, v in [("a", 1)] %}{{ loop.previtem }}{{ loop.nextitem }}{{ k }}{% endfor %}
{% for k, v in [["a", 1], ["b", 2]] if v %}{{ loop.previtem }}{{ loop.nextitem }}{{ k }}{% endfor %}
{% set ns = namespace(stop=false) %}{% for x in l if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}
{% for x in l %}{% if loop.last %}{{ x }}{% endif %}{% if loop.nextitem is undefined %}!{% endif %}{% endfor %}
{% set x = 5 %}{{ x }}
{% set x, y = 1, 2 %}{{ x }}{{ y }}
{% set x, y = "ab" %}{{ x }}{{ y }}
{% set (x, y) = [1, 2] %}{{ x }}{{ y }}
{% set x, y = 1 %}
{% set x, y = [1, 2, 3] %}
{% set x = 1, 2 %}{{ x }}
{% set x = x %}{{ x }}
{% set i = i + 1 %}{{ i }}
{% set s = s ~ "!" %}{{ s }}
{% set x = 1 %}{% set x = x + 1 %}{{ x }}
{% set x %}a{{ i }}b{% endset %}{{ x }}|{{ x | length }}
{% set x | upper %}abc{% endset %}{{ x }}
{% set x | replace("a", "b") | upper %}abc{% endset %}{{ x }}
{% set x, y %}ab{% endset %}{{ x }}{{ y }}
{% set x = 1 %}{% for y in l %}{% set x = x + y %}{{ x }} {% endfor %}{{ x }}
{% for y in l %}{{ q }}{% set q = y %}{% endfor %}{{ q }}
{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns }}
{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{{ ns.a }}{{ ns.zz }}
{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}
{% set ns = namespace() %}{% set ns.t %}captured{% endset %}{{ ns.t }}
{% set d.x = 1 %}
{% set undefined_name.x = 1 %}
{% set n.x = 1 %}
{% set ns = namespace() %}{% set ns.x.y = 1 %}
{% set ns = namespace() %}{% set ns["x"] = 1 %}
{% set ns = namespace(x=1) %}{% if ns.x %}{{ ns.x }}{% endif %}{% if ns %}t{% endif %}{{ ns is mapping }}{{ ns is iterable }}{{ ns == ns }}
{% set a = namespace(v=1) %}{% set b = a %}{% set b.v = 2 %}{{ a.v }}
{% set 1 = 2 %}
{% set x.y() = 1 %}
{% set none = 1 %}
{% set True = 1 %}
{% set x = %}
{% set = 1 %}
{% set x
{% set x %}
{% if yes %}{% set x = 1 %}{% endif %}{{ x }}
{% if no %}{% set s = 1 %}{% endif %}{{ s }}
{% if no %}{% set q = 1 %}{% endif %}{{ q }}
{% if no %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}
{% if yes %}{% set s = 1 %}{% endif %}{{ s }}{% for q in l %}{{ s }}{% if q == 1 %}{% set s = q %}{% endif %}{{ s }}{% endfor %}{{ s }}
{{ x }}{% set x = 1 %}{{ x }}
{% for y in l %}{% if y == 1 %}{% set x = y %}{% endif %}{{ x }}{% endfor %}|{{ x }}
{% set x = 1 %}{% if yes %}{% if no %}{% set x = 2 %}{% elif yes %}{% set x = 3 %}{% endif %}{% endif %}{{ x }}
{% with %}{{ i }}{% endwith %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with a = i, i = 1 %}{{ a }}{{ i }}{% endwith %}{{ i }}
{% with a = 1, b = a %}{{ b }}{% endwith %}
{% with a, b = [1, 2] %}{{ a }}{{ b }}{% endwith %}
{% with a = 1 %}{% set a = 2 %}{{ a }}{% set z = 5 %}{% endwith %}{{ a }}{{ z }}
{% with a %}{% endwith %}
{% with a = 1 b = 2 %}{% endwith %}
{% macro m() %}hi{% endmacro %}{{ m() }}{{ m() | upper }}
{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=1, a=2) }} {{ m() }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a, a) %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}{{ varargs | join(",") }}{{ kwargs | length }}{% endmacro %}{{ m(1, 2, 3) }}
{% macro m(varargs) %}{{ varargs }}{% endmacro %}{{ m(1) }}
{% macro m(kwargs=1) %}{{ kwargs }}{% endmacro %}{{ m(kwargs=2) }}
{% macro m() %}{{ i }}{% set i = 1 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}
{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}
{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}
{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}
{{ m() }}{% macro m() %}late{% endmacro %}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro outer() %}{% macro inner(x) %}[{{ x }}]{% endmacro %}{{ inner(1) }}{{ inner(2) }}{% endmacro %}{{ outer() }}
{% macro m(x) %}{{ x }}{% endmacro %}{% for a in l | map("string") %}{{ m(a) }}{% endfor %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}{{ m }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{"x": 2}) }}{{ m(*(3,), **{}) }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1)(2) }}
{% macro m %}x{% endmacro %}
{% macro 1() %}x{% endmacro %}
{% macro m() %}
{% macro m() %}{% endmacro %}{{ m(**5) }}
{% macro m() %}{% endmacro %}{{ m(*5) }}
{% macro m(a, b) -%}
    {{ a }}
    {%- if b %} {{ b }}{% endif %}
{%- endmacro %}
[{{ m(1, 2) }}]
{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(5) %}got {{ y }}{% endcall %}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ i }}{% endcall %}{{ m() }}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}
{% macro m(caller) %}{{ caller() }}{% endmacro %}
{% macro m(caller=none) %}{{ caller() if caller else "no" }}{% endmacro %}{{ m() }}{% call m() %}yes{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}
{% call 5 %}{% endcall %}
{% call(a, b=2) m() %}{% endcall %}
{% macro m() %}{{ caller(1) }}{{ caller(1, 3) }}{% endmacro %}{% call(a, b=2) m() %}{{ a }}{{ b }} {% endcall %}
{% for x in l %}{% macro w() %}({{ caller() }}){% endmacro %}{% call w() %}{{ x }}{{ loop.index }}{% endcall %}{% endfor %}
{% macro m() %}{% set q = 1 %}{{ caller() }}{% endmacro %}{% set q = 9 %}{% call m() %}{{ q }}{% set q = 3 %}{% endcall %}{{ q }}
{% filter upper %}abc {{ s }}{% endfilter %}
{% filter replace("a", "b") | upper %}abc{% endfilter %}
{% filter length %}abc{% endfilter %}
{% filter first %}{% endfilter %}
{% filter string %}abc{% endfilter %}
{% filter indent(2, true) %}a
b{% endfilter %}
{% filter nope %}x{% endfilter %}
{% filter %}x{% endfilter %}
{% filter upper %}{% set z = 1 %}{{ z }}{% endfilter %}{{ z }}
{% set v = "a" %}{% filter replace(v, "z") %}banana{% endfilter %}
{% generation %}a{{ i }}{% endgeneration %}b
{% for m in messages %}{% generation %}{{ m.content }}{{ loop.index }}{% set zz = 1 %}{% endgeneration %}{{ zz }}{% endfor %}
{% generation %}
{% raw %}{{ x }}{% if %}{% endraw %}
{% raw -%}   a {%- endraw %}  b
  {% raw %}
 x
  {% endraw %}
y
{% raw %}
{%- raw %} a {% endraw -%}   b
{# comment {{ x }} #}a{#- b -#}   c
a {#- c #} b
{# unclosed
{#- a -#}{##}x{#+#}
{{ "{{ x }}" }}{{ "%}" }}{{ '{%' }}
{{ {"a": {"b": 1}}["a"] }}{{ {"a":{}} }}
{{ {"a": 1}.a }}{{ [{"x": [1]}][0].x[0] }}
a{{ 1 }}b{{- 2 }} c {{ 3 -}} d {{- 4 -}} e
  {% if yes %}  x  {% endif %}  y
  {%- if yes -%}  x  {%- endif -%}  y
  {%+ if yes %}x{% endif +%}
y
a
  {% if yes %}
  b
  {% endif %}
c
a
  {{ i }}
  {%- set x = 1 %}
  b
    {% set x = 1 -%}

   c
{% if yes %}

x{% endif %}

a {% if yes %}
b {% endif %}
c
	{% set x = 1 %}	d
{{ s }}
{{ s }}

  {# c #}
x  {# d #}
  {#+ e #}
z
{% for x in l %}
    {{ x }}
{% endfor %}
end
{% for x in l -%}
    {{ x }}
{%- endfor %}
end
{%- for x in l %}
    {%- if x == 1 %}
        {{- "one" }}
    {%- else %}
        {{- x -}}
    {%- endif %}
{%- endfor %}
{%    if     yes    %}x{%endif%}
{%if yes%}x{%-endif-%} y
{{
  i
}}{%
if yes
%}z{%
endif
%}
{% print i, s %}
{% print %}
{% do l.append(1) %}
{% unknown %}
{% 5 %}
{% %}
{{ }}
{{
{%
{{ i
{% if yes
{{ i }
{{ i %}
{% if yes }}x{% endif %}
}} %} #}
{ { i } } {a} {% raw %}{{{% endraw %}
{{ (i }}
{{ i) }}
{{ [i }}
{{ {i }}
{% include "x" %}
{% if no %}{% include "x" %}{% endif %}ok
{% import "x" as y %}
{% from "x" import y %}
{% if no %}{% from "x" import y as z, w with context %}{% endif %}ok
{% extends "x" %}
{% block a %}A{{ i }}{% endblock %}{% block b %}B{% endblock b %}
{% block a %}{% endblock %}{% block a %}{% endblock %}
{% set x = 1 %}{% block a %}{{ x }}{% set x = 2 %}{{ x }}{% endblock %}{{ x }}
{% for x in l %}{% block a %}{{ x }}{% endblock %}{% endfor %}
{% for x in l %}{% block a scoped %}{{ x }}{{ loop.index }}{% endblock %}{% endfor %}
{% macro m() %}M{% endmacro %}{% block a %}{{ m() }}{% endblock %}
{% block a required %}{% endblock %}
{% block a-b %}{% endblock %}
{% autoescape false %}{{ html }}{% set q = 1 %}{% endautoescape %}{{ q }}
{% set x = [] %}{% set _ = x.append(1) %}{{ x }}
{% set x = d %}{% set y = x.update({"q": 1}) %}{{ x }}
{% set c = cycler("a", "b") %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}
{% set j = joiner(", ") %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}
{% set j = joiner() %}{{ j() }}a{{ j() }}b{{ j() }}
{% set g = l | map("string") %}{{ g | join }}{{ g | join }}|
{% set g = messages | selectattr("role", "equalto", "zz") %}{% if g %}truthy{% endif %}{{ g | list | length }}
{% set g = l | select %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g | list }}
{% set x = l | reverse %}{{ x | list }}{{ x | list }}
{% set messages = messages[1:] %}{% for m in messages %}{{ m.role }}{% endfor %}
{% for m in messages %}{{ m.role }}{{ m["content"] }}{{ m.get("tool_calls") }}{{ m.tool_calls is defined }}{% endfor %}
{% for m in messages %}{% if (m.role == "user") != (loop.index0 % 2 == 0) %}{{ raise_exception("alternate") }}{% endif %}{% endfor %}
{% for m in messages %}{% if m.role == "assistant" and m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{{ c["function"]["arguments"]["x"] }}{% endfor %}{% endif %}{% endfor %}
{% set loop_messages = messages if messages[0].role != "system" else messages[1:] %}{{ loop_messages | length }}
{{ messages[-1].content }}{{ messages[-1]["role"] }}{{ messages[::-1][0].role }}{{ messages | last }}{{ (messages | first).role }}
{% if messages[-1].content is none %}none{% endif %}{% if messages[0].content is string %}str{% endif %}{% if messages[0].zz is not defined %}nd{% endif %}
{%- set ns = namespace(multi=true, last=messages | length - 1) -%}{%- for message in messages[::-1] %}{%- set index = (messages | length - 1) - loop.index0 %}{%- if ns.multi and message.role == "user" and message.content is string and not (message.content.startswith("<t>") and message.content.endswith("</t>")) %}{%- set ns.multi = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}{{ ns.last }}
{{ "<think>a</think>b".split("</think>")[-1].lstrip("\n") }}{{ "<think>a</think>b".split("</think>")[0].rstrip("\n").split("<think>")[-1].lstrip("\n") }}
{{ undefined_name ~ "x" }}{{ n ~ "" }}{{ [] ~ {} }}
{{ i }}{{ i -}}
{{ 1 if undefined_name is defined and undefined_name.x else 2 }}
{{ loop is defined }}{{ caller is defined }}{{ varargs is defined }}
{% set self = 5 %}{{ self }}
""".strip("\n")
