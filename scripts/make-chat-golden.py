"""Writes test/golden/chat_templates.json: templates in the ways that model families write them, and what Jinja2 makes of them, set up
as transformers does (trim_blocks, lstrip_blocks, loop controls, its tojson, raise_exception, strftime_now, the sandbox).

    pip install jinja2==3.1.6 && python3 scripts/make-chat-golden.py
"""
import datetime
import json
import os
import pathlib
import time

from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

os.environ["TZ"] = "Asia/Kathmandu"
time.tzset()
NOW = 1767196800.25  # 31 December 2025, 16:00:00.25 UTC: the next day's morning in some zones, 21:45 in this one


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


class Generation(Extension):
    """transformers notes what stands between the tags; the text is as without them."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW).strftime(f)

LOOP = "{% for m in messages %}"
END = "{% endfor %}"
TEMPLATES = [
    # turns between marks, one line
    LOOP + "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}" + END + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    # a system turn of its own where none is given
    "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n'}}{% endfor %}",
    # instructions in brackets, roles must take turns
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must take turns') }}{% endif %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}",
    # the system text goes into the first question
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set system = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}{% for m in rest %}{% if loop.index0 == 0 %}{% set content = system + m.content %}{% else %}{% set content = m.content %}{% endif %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    # headers, several lines, marks of white space
    "{%- set loop_messages = messages -%}\n{%- for message in loop_messages -%}\n    {%- set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' -%}\n    {%- if loop.index0 == 0 -%}\n        {%- set content = bos_token + content -%}\n    {%- endif -%}\n    {{- content -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}\n{%- endif -%}",
    # the assistant is called model
    "{{ bos_token }}{% for m in messages %}\n    {%- set role = 'model' if m.role == 'assistant' else m.role -%}\n    {{ '<start_of_turn>' ~ role ~ '\\n' ~ (m.content | trim) ~ '<end_of_turn>\\n' }}\n{%- endfor %}\n{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    # namespaces carry what a loop found
    "{%- set ns = namespace(system='', turns=0) %}\n{%- for m in messages %}\n  {%- if m.role == 'system' %}\n    {%- set ns.system = m.content %}\n  {%- else %}\n    {%- set ns.turns = ns.turns + 1 %}\n  {%- endif %}\n{%- endfor %}\n{{ ns.system }}|{{ ns.turns }}",
    # tools that are not given
    "{% if tools is defined and tools %}tools{% elif tools is none %}none{% else %}?{% endif %}",
    "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{{ tools }}{{ documents is none }}",
    "{% if custom is not defined %}{% set custom = 'own' %}{% endif %}{{ custom }}",
    # macros
    "{% macro turn(role, text='…') %}<{{ role }}>{{ text }}</{{ role }}>\n{% endmacro %}{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}{{ turn('assistant') }}",
    "{% macro list(items, mark='-') %}{% for i in items %}{{ mark }} {{ i }}\n{% endfor %}{% endmacro %}{{ list(['a', 2, none, true, 1.5], mark='*') }}",
    "{% set x = 'outer' %}{% macro show() %}{{ x }}{% endmacro %}{% for m in messages %}{% set x = m.role %}{{ show() }},{% endfor %}{{ x }}",
    "{% macro wrap(name) %}[{{ name }}:{{ caller() }}]{% endmacro %}{% call wrap('a') %}inner {{ messages | length }}{% endcall %}",
    # loops that are left
    LOOP + "{{ m.content }}|{% if loop.index == 2 %}stop{% break %}{% endif %}" + END + "end",
    LOOP + "<{{ m.role }}>{% if m.role == 'system' %}{{ m.content }}{% continue %}{% endif %}u" + END,
    LOOP + "{% for c in m.content %}{% if c == ' ' %}{% break %}{% endif %}{{ c }}{% endfor %};" + END,
    "{% for m in messages if m.role != 'system' %}{{ loop.index }}/{{ loop.length }} {{ m.role }}{{ ', ' if not loop.last }}{% else %}nobody{% endfor %}",
    "{% for m in messages if m.role == 'tool' %}{{ m }}{% else %}no tools{% endfor %}",
    LOOP + "{{ loop.previtem.role if loop.previtem is defined else 'start' }}>{{ m.role }}>{{ loop.nextitem.role if not loop.last else 'end' }} " + END,
    LOOP + "{% if x is defined %}seen{% endif %}{% set x = 1 %}" + END,
    "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for m in messages | reverse %}{{ m.role }} {{ loop.revindex }} {{ loop.cycle('odd', 'even') }}\n{% endfor %}",
    "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(7, 0, -3) %}{{ i }}{% endfor %}",
    # what values look like
    "{{ true }} {{ none }} {{ 1 == 1.0 }} {{ [1, 'a', none, true, 2.0] }} {{ {'k': \"it's\", 'n': [1]} }} {{ ('x', 1) }}",
    "{{ true }} {{ messages[0].nope }} {{ messages[0].get('nope') }} {{ messages[0].get('nope', 'x') }}",
    "{{ '1' == 1 }} {{ none == false }} {{ 0 == false }} {{ '' == none }} {{ [1] == [1] }} {{ {'a': 1} == {'a': 1.0} }}",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 4 / 2 }} {{ 3.0 }} {{ -2 | abs }}",
    "{{ '=' * 3 }}{{ 2 * 'ab' }}{{ [0] * 2 }}{{ '-' * 0 }}",
    "{{ 'a' < 'b' }} {{ 'Z' < 'a' }} {{ [1, 2] < [1, 3] }} {{ 'x' in 'xyz' }} {{ 'q' not in ['q'] }} {{ 'role' in messages[0] }}",
    "{{ '%s has %d of %s' % ('it', 3, [1]) }} {{ 'a' ~ 1 ~ none ~ true }}",
    "{{ messages[0] }}",
    "{{ messages[-1].content[:3] }}|{{ messages[-1]['content'][-2:] }}|{{ 'abcdef'[::-2] }}|{{ [1, 2, 3][1:] }}",
    "{{ (messages | length) is divisibleby(2) }} {{ 3 is odd }} {{ 'a' is in ['a', 'b'] }} {{ 5 is gt 3 }} {{ 5 is not eq 5 }} {{ none is sameas none }}",
    "{{ 'x' is string }} {{ messages is iterable }} {{ messages is string }} {{ messages[0] is mapping }} {{ messages is sequence }} {{ 1 is number }} {{ true is boolean }} {{ 'A' is upper }}",
    # methods and filters
    "{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'a.b.c'.split('.') }}|{{ 'a b  c'.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1)[0] }}",
    "{{ 'hello wORLD'.title() }} {{ 'hello wORLD'.capitalize() }} {{ 'hello wORLD' | title }} {{ 'hello wORLD' | capitalize }} {{ 'ß'.upper() }}",
    "{{ 'abc'.startswith('a') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abcabc'.replace('b', 'X', 1) }} {{ 'abcabc' | replace('b', '') }} {{ 'abc'.find('c') }} {{ ', '.join(['a', 'b']) }}",
    "{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ messages | rejectattr('role', 'in', ['user', 'system']) | list | length }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort | join }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ messages | sort(attribute='role') | map(attribute='role') | list }}",
    "{{ [1, 2, 2, 'a', 'A'] | unique | list }} {{ [1, none, 'x', ''] | select | list }} {{ [1, 2, 3] | sum }} {{ [1, 5, 2] | max }} {{ {'b': 1, 'a': 2} | dictsort }}",
    "{{ nothing | default('d') }} {{ none | default('d') }} {{ '' | default('d', true) }} {{ none | default('d', boolean=true) }} {{ '' or 'e' }} {{ [] and 1 }}",
    "{{ '3' | int + 1 }} {{ 'x' | int(7) }} {{ '2.5' | float }} {{ 3.9 | int }} {{ -3.9 | int }} {{ 3 | string + 'a' }} {{ 2.5 | round }}",
    "{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\nb' | indent }}",
    "{{ '<a href=\"x\">&' | e }} {{ '<b>' | safe }}{{ '<b>' }}",
    "{{ 'one two' | wordcount }} {{ 'abc' | reverse }} {{ 'abc' | first }}{{ 'abc' | last }} {{ 'abc' | list }} {{ [] | first is defined }} {{ ' x ' | trim | length }}",
    "{% filter upper %}{{ messages[0].role }} text{% endfilter %}{% set block %}kept {{ messages[0].role }}{% endset %}|{{ block }}",
    # JSON
    "{{ messages | tojson }}",
    "{{ {'b': [1, 2.0, none, true], 'a': {'é': '\"\\n<\\\\'}} | tojson(indent=2) }}",
    "{{ {'b': 1, 'a': []} | tojson(indent=4, sort_keys=true) }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ [1, {'a': 2}] | tojson(separators=(',', ':')) }} {{ {} | tojson(indent=2) }}",
    # white space
    "a\n  {% if true %}\n  b\n  {% endif %}\n  c\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif %}\n  c\n\n",
    "a {# note #} b\n  {# alone #}\nc\n{#- tight -#}\n d",
    "  {%+ if true %}x{%+ endif +%}\ny\n  {{ 'z' }}\n",
    "{{ '{%' }} {{ '%}\n' }}| {{ \"}}\" }} {% if '%}' == '%}' %}\nyes{% endif %}",
    "{% raw %}{{ as it is }} {% if %}{% endraw %}\nafter",
    "\n\n{% for m in messages %}\n\t{{ m.role }}\n{% endfor %}\n\n",
    "{% generation %}said{% endgeneration %} {%- generation %} more {% endgeneration -%} end",
    # strings
    "{{ 'a\\tb\\\\n' }}|{{ \"it's\" }}|{{ 'say \"x\"' }}|{{ '\\u00e9' }}|{{ '\\d' }}|{{ 'é😀'|length }}|{{ 'é😀'[1] }}|{{ 'x' 'y' }}",
    # dates
    "{{ strftime_now('%A %d %B %Y %H:%M') }}",
    "{{ strftime_now('%a %b %e %-d %j %I %p %S %y %U %W %w %u %F %T %f %D %%') }}",
    "{% if strftime_now is defined %}{% set today = strftime_now('%d %b %Y') %}{% else %}{% set today = '26 Jul 2024' %}{% endif %}Today: {{ today }}",
    # refusals and errors
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns: ' + messages[0].role) }}{% endif %}ok",
    "{{ messages[0].nope.more }}",
    "{{ messages[0].content + 1 }}",
    "{{ missing() }}",
    "{{ 'a' < 1 }}",
    "{% for x in 5 %}{% endfor %}",
    # thinking is cut off from earlier answers
    "{% for m in messages %}{% set content = m.content %}{% if m.role == 'assistant' and '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}<|{{ m.role }}|>{{ content }}\n{% endfor %}",
    "{%- set ns = namespace(last=messages|length - 1) %}{%- for m in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if m.role == 'user' and not ns.found %}{%- set ns.found = true %}{%- set ns.last = index %}{%- endif %}{%- endfor %}{{ ns.last }}{% for m in messages %}{{ '>' if loop.index0 > ns.last }}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{{ '\\n' if not loop.last else '' }}{% endfor %}",
    "{% set roles = {'user': 'Human', 'assistant': 'AI'} %}{% for m in messages %}{{ roles[m.role] if m.role in roles else roles.get(m.role, m.role | upper) }}: {{ m.content }}{{ '\\n\\n' }}{% endfor %}{% if add_generation_prompt %}AI:{% endif %}",
    "{% set a, b = ('x', 'y') %}{{ b ~ a }}{% set pair = messages | map(attribute='role') | list %}{{ pair[0] }}{{ pair | last }}{{ pair.index('user') }}",
    "{{ bos_token }}{{ unk_token }}{{ eos_token is defined }}{{ (messages | first).role }}{{ messages.0.role }}",
]

CHATS = [
    [{"role": "user", "content": "hi"}],
    [{"role": "system", "content": "Sys"}, {"role": "user", "content": " Wie geht’s? "}, {"role": "assistant", "content": "<think>hm</think>\n\nyes & \"no\""}, {"role": "user", "content": "it's 5\nlines"}],
    [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "é😀"}],
]

cases = []
for template in TEMPLATES:
    for chat, add in zip(CHATS, (True, True, False)):
        values = {"messages": chat, "tools": None, "documents": None, "add_generation_prompt": add, "bos_token": "<s>", "eos_token": "</s>"}
        try:
            answer = {"text": env.from_string(template).render(**values)}
        except Raised as error:
            answer = {"raised": str(error)}
        except Exception as error:
            answer = {"fails": type(error).__name__}
        cases.append({"template": template, "chat": CHATS.index(chat), "add": add, **answer})
target = pathlib.Path(__file__).parent.parent / "test/golden/chat_templates.json"
golden = {"now": NOW, "zone": os.environ["TZ"], "chats": CHATS, "cases": cases}
target.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
print(f"{len(TEMPLATES)} templates, {len(cases)} cases")
