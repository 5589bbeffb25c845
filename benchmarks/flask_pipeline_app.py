"""What a team writes first: a Flask app with a transformers pipeline for each model. Runs in an environment of its own.

MODELS names the folder that holds the models' folders.
"""

import os
from pathlib import Path
from typing import Any

from flask import Flask, request
from transformers import pipeline

app = Flask(__name__)
pipelines = {
    folder.name: pipeline("text-classification", model=str(folder), top_k=None, device="cpu")
    for folder in Path(os.environ["MODELS"]).iterdir()
}


@app.post("/classify")
def classify() -> Any:
    """`{"model": …, "input": [text, …]}` to each text's labels with their scores."""
    body = request.get_json()
    return pipelines[body["model"]](body["input"])
