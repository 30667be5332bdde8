"""
What `zslab export` asks nbconvert for: a notebook as JSON on stdin becomes, on stdout, a page ("to": "html") or LaTeX as JSON
(tex; files: path → base64; missing: pictures of its text that are not in its folder; unknown: characters that TeX has nothing for).
Told by JSON in its argument: to; name, the title of what has none; folder, the notebook's own; templates, where ours lie; files, the
folder that pictures get beside the LaTeX. A path in files that ends with .svg is named with .png in the text: who takes it draws it.
"""

import base64
import json
import logging
import os
import re
import sys
import unicodedata

import nbformat
from traitlets.config import Config


def page(notebook, told, resources):
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(template_name='zslab', extra_template_basedirs=[told['templates']], embed_images=True)
    return exporter.from_notebook_node(notebook, resources=resources)[0]


# Of the pictures of one output, the best for paper first.
PICTURES = ['application/pdf', 'image/svg+xml', 'image/png', 'image/jpeg']


def latex(notebook, told, resources):
    from nbconvert.exporters import LatexExporter
    import pypandoc

    os.environ['PATH'] = os.path.join(os.path.dirname(pypandoc.__file__), 'files') + os.pathsep + os.environ.get('PATH', '')
    config = Config()
    config.SVG2PDFPreprocessor.enabled = False  # it calls Inkscape
    config.ExtractAttachmentsPreprocessor.attachments_directory_template = told['files']
    exporter = LatexExporter(template_name='zslab-latex', extra_template_basedirs=[told['templates']], config=config)
    exporter.register_filter('letters', letters)
    fit(notebook)
    characters, unknown = commands(normal(''.join(texts(notebook)) + told['name']))
    resources.update(unique_key='output', output_files_dir=told['files'], characters=characters)
    tex, found = exporter.from_notebook_node(notebook, resources=resources)
    files = {name: bytes(data) for name, data in found['outputs'].items()}
    tex, missing = with_pictures(normal(tex), files, told)
    for name in files:
        tex = tex.replace('{' + name + '}', '{' + re.sub(r'\.svg$', '.png', name) + '}')
    encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
    return json.dumps({'tex': tex, 'files': encoded, 'missing': missing, 'unknown': unknown})


# How many letters of each size go into a line of 6.75 in.
SIZES = {'\\footnotesize': 101, '\\scriptsize': 113, '\\tiny': 150}


def letters(text):
    """The size at which no line of `text` is broken; the largest where there is none."""
    longest = max(map(len, text.splitlines()), default=0)
    return next((size for size, most in SIZES.items() if longest <= most), '\\footnotesize')


def fit(notebook):
    """Outputs for paper: one picture each, tabs become columns, and words that are longer than a line are broken."""
    for cell in notebook.cells:
        for output in cell.get('outputs', []):
            for kind in [kind for kind in PICTURES if kind in output.get('data', {})][1:]:
                del output.data[kind]
            for holder, kind in ((output, 'text'), (output.get('data', {}), 'text/plain')):
                if kind in holder:
                    holder[kind] = re.sub(r'(\S{%d})(?=\S)' % SIZES['\\footnotesize'], r'\1\n', columns(holder[kind]))


def columns(text):
    """Lines with tabs, set below each other."""
    rows = [line.split('\t') for line in text.split('\n')]
    table = [row for row in rows if len(row) > 1]
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table), default=0))]
    return '\n'.join('  '.join(map(str.ljust, row, widths)).rstrip() if len(row) > 1 else row[0] for row in rows)


def texts(notebook):
    """All that becomes text."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get('outputs', []):
            yield output.get('text', '') + ''.join(output.get('traceback', []))
            yield from (text for kind, text in output.get('data', {}).items() if kind.startswith('text/') and isinstance(text, str))


def normal(text):
    """Letters and their accents in one, and nothing that TeX refuses to read."""
    return re.sub('[\x00-\x08\x0b-\x1f\x7f]', '', unicodedata.normalize('NFC', text).replace('\x1b', ''))


def commands(text):
    """All characters beside ASCII, each with what stands for it in any text, and those that nothing stands for."""
    from pylatexenc.latexencode import UnicodeToLatexEncoder

    encoder = UnicodeToLatexEncoder(
        conversion_rules=['defaults', 'unicode-xml'],
        replacement_latex_protection='braces-all',
        unknown_char_policy='keep',
        unknown_char_warning=False,
    )
    found, unknown = [], []
    for character in sorted(set(text)):
        if character.isascii():
            continue
        code = f'{ord(character):04X}'
        command = character if unicodedata.combining(character) else encoder.unicode_to_latex(character)
        if not command.isascii():
            command = f'\\unknowncharacter{{{code}}}'
            unknown.append(character)
        needs = re.findall(r'\\([a-zA-Z]+)', command)
        found.append({'text': character, 'code': code, 'needs': needs, 'command': command})
    return found, unknown


def with_pictures(tex, files, told):
    """The text with the pictures that markdown names: those of the notebook's folder are put among `files`, others become words."""
    from nbconvert.filters.latex import escape_latex

    missing = []

    def place(match):
        name = re.sub(r'\\([#$%&_{}])', r'\1', match[2])
        kind = os.path.splitext(name)[1].lower()
        path = os.path.join(told['folder'], name)
        if name in files:
            return match[0]
        if kind in ('.png', '.jpg', '.jpeg', '.pdf', '.svg') and os.path.isfile(path):
            own = f"{told['files']}/text_{len(files)}{kind}"
            with open(path, 'rb') as file:
                files[own] = file.read()
            return match[0].replace(match[2], own).replace('\\includesvg', '\\includegraphics')
        missing.append(name)
        return '\\texttt{[' + escape_latex(name) + ']}'

    return re.sub(r'\\pandocbounded\{\\include(?:graphics|svg)(\[[^\]]*\])?\{([^}]*)\}\}', place, tex), missing


logging.disable(logging.CRITICAL)
told = json.loads(sys.argv[1])
try:
    notebook = nbformat.reads(sys.stdin.buffer.read().decode(), as_version=4)
    nbformat.validate(notebook)
    resources = {'metadata': {'name': told['name'], 'path': told['folder']}}
    made = (page if told['to'] == 'html' else latex)(notebook, told, resources)
    sys.stdout.buffer.write(made.encode())
except Exception as error:
    print(' '.join(str(error).split()) or type(error).__name__, file=sys.stderr)
    sys.exit(1)
