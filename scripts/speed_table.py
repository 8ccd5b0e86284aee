#!/usr/bin/env python3
"""Prints the table of docs/planning.md: public measurements of Macs beside what `medlar plan` predicts for them."""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rows():
    with open(ROOT / "tests" / "host" / "apple_speed.csv") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))


def plan(medlar, row, prompt):
    model = f"synthetic:{row['model']}:{row['type']}"
    command = [medlar, "plan", model, "--machine", row["machine"], "--ctx", "2048", "--kv-type", "f16", "-t", "1"]
    done = subprocess.run([*command, "--prompt", str(prompt), "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("medlar", help="the program")
    medlar = parser.parse_args().medlar
    print("| machine | model | reads, measured | predicted | | writes, measured | predicted | | row |")
    print("|---|---|---|---|---|---|---|---|---|")
    errors = {"fit": [], "check": []}
    for row in rows():
        name = f"| {row['machine']} | {row['model']} {row['type'].upper()} "
        at_prompt = plan(medlar, row, row["prompt"])
        fits = "fits" if at_prompt["fits"] else "does not fit"
        if not row["prompt_tps"]:
            print(f"{name}| did not run | {fits} | | | | | {row['use']} |")
            continue
        cells = ""
        pairs = [("prompt_tps", at_prompt), ("decode_tps", plan(medlar, row, int(row["gen"]) // 2))]
        for key, planned in pairs:
            measured, predicted = float(row[key]), planned["predict"][key]
            error = predicted / measured - 1
            errors[row["use"]].append(abs(error))
            cells += f"| {measured:.4g} | {predicted:.4g} | {100 * error:+.0f} % "
        beyond = ", beyond what macOS recommends" if row["fits"] == "beyond" else ""
        print(f"{name}{cells}| {row['use']}{beyond} |")
    print()
    for use, what in (("check", "were not fitted to"), ("fit", "were fitted to")):
        median, worst = 100 * statistics.median(errors[use]), 100 * max(errors[use])
        print(f"Of the {len(errors[use])} figures that the constants {what}, the median error is {median:.0f} %, ", end="")
        print(f"the worst {worst:.0f} %.")


if __name__ == "__main__":
    main()
