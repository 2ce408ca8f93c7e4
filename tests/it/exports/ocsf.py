"""Judges events of OCSF, one in a line: by the schema itself (ocsf-json-schema) and by another reading of it (ocsf-emitter).

Prints the class of each event that both take; the first one that is refused ends it with 1.
"""

import json
import sys

import jsonschema
import ocsf_emitter
from ocsf_emitter import _models
from ocsf_emitter.defaults import class_spec_by_uid
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schemas = {}


def judge(line):
    event = json.loads(line)
    version, profiles = event["metadata"]["version"], event["metadata"]["profiles"]
    key = (version, event["class_uid"], tuple(profiles))
    if key not in schemas:
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
        name = schema.lookup_class_name_from_uid(class_uid=event["class_uid"])
        schemas[key] = jsonschema.Draft202012Validator(schema.get_class_schema(class_name=name, profiles=profiles))
    problems = [f"{error.json_path}: {error.message[:300]}" for error in schemas[key].iter_errors(event)]
    model = getattr(_models, class_spec_by_uid(event["class_uid"]).model_name)
    try:
        ocsf_emitter.validate(model.model_validate(event))
    except Exception as error:
        problems.append(f"{error} {getattr(error, 'field_errors', '')}")
    return event, problems


for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    event, problems = judge(line)
    if problems:
        print(f"line {number}, {event['unmapped']['type']}:", *problems, sep="\n  ")
        sys.exit(1)
    print(event["class_uid"], event["unmapped"]["type"])
