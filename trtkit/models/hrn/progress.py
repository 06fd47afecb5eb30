"""What the pipeline goes through, as a person sees it: the steps, and the three stages that they belong to.

A step is told by the StageClock, so the command line, the server and whoever calls the pipeline hear of it alike.
"""

STAGES = {
    "detect": "find the face",
    "landmarks": "find the face",
    "align": "find the face",
    "mask": "find the face",
    "reconstruct": "its shape",
    "texture": "its shape",
    "deform": "its detail",
    "albedo": "its detail",
    "detail": "its detail",
    "files": "its detail",
}
"""Step → stage, in order. `mask` comes with the official face mask alone, the last ones but `files` where --output asks
for them."""
