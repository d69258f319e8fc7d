from pygeoapi.process.base import BaseProcessor

METADATA = {
    "version": "1.0.0",
    "id": "squares",
    "title": {"en": "Squares"},
    "inputs": {"side": {"schema": {"type": "number", "default": 2}, "minOccurs": 1, "maxOccurs": 1}},
    "outputs": {"area": {"schema": {"type": "object", "contentMediaType": "application/json"}}},
}


class Squares(BaseProcessor):
    def __init__(self, processor_def):
        super().__init__(processor_def, METADATA)

    def execute(self, data, outputs=None):
        return "application/json", {"id": "area", "value": data["side"] ** 2}
