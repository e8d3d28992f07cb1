#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write the C source of a library that holds every type and number of the ABI: anchor.py INCLUDE

abidw describes what a library's functions reach. Structs that only a facet's table or a void * leads
to, anonymous enums and macros are reached by none: here a function stands for each of them.
"""

import pathlib
import re
import sys

STRUCT = re.compile(r"^struct (spoe_\w+) \{", re.M)
ENUM = re.compile(r"^enum \{(.*?)^\};", re.M | re.S)
ENUM_NAME = re.compile(r"^\s*(SPOE_\w+)\b", re.M)
# Numbers: UINT32_C(2), 8u, (UINT32_C(1) << 3), SPOE_MASK(...) and sums of such.
MACRO = re.compile(r"^#define (SPOE_\w+)[ \t\\\n]+(?=[^\n\"]*(?:UINT32_C|SPOE_MASK|\b\d+u?\b))([^\"\n]*)$",
                   re.M)
INLINE = "/* ---- inline helpers; no part of the ABI"


def headers(include):
    """plugin.h and the facets: the headers that are part of the ABI."""
    root = pathlib.Path(include) / "spoe"
    return [root / "plugin.h", *sorted((root / "ext").glob("*.h"))]


def abi_text(header):
    text = header.read_text().split(INLINE)[0]
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def anchor(include):
    root = pathlib.Path(include)
    lines = [f"#include <{h.relative_to(root)}>" for h in headers(include)]
    for header in headers(include):
        text = abi_text(header)
        types = [f"struct {name}" for name in STRUCT.findall(text)]
        numbers = [n for body in ENUM.findall(text) for n in ENUM_NAME.findall(body)]
        numbers += [name for name, _ in MACRO.findall(text)]
        if numbers:
            types.append(f"enum numbers_of_{header.stem}")
            lines.append(types[-1] + " {" + ", ".join(f"its_{n} = {n}" for n in numbers) + "};")
        for name in types:
            function = "anchor_" + name.split()[1]
            lines.append(f"void {function}({name} *p);")
            lines.append(f"void {function}({name} *p) {{ (void)p; }}")
    lines.append("void anchor_entry(spoe_plugin_entry_fn *entry);")
    lines.append("void anchor_entry(spoe_plugin_entry_fn *entry) { (void)entry; }")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(anchor(sys.argv[1]))
