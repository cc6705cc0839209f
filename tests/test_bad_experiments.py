# ruff: noqa: E501
"""A bad experiment is one short message and exit code 2, at once, before Keras, and leaves no run."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = (Path(__file__).parent / "experiment/good.toml").read_text()

DATASET = '[dataset]\nname = "shapes"\nclasses = 2\n'
TRAINING = "[training]\nimage_size = 32\nbatch_size = 8\n"
HEAD = GOOD.partition("[[stages]]")[0]

# fmt: off
# What is replaced, by what, and what is said of it: each stands on the line that ends in "#<".
BAD = {
    # keys
    "key at the top": ("seed = 3", "sed = 3 #<", 'sed = 3: unknown key. Did you mean "seed"? Known'),
    "key without a near one": ("seed = 3", "xyz = 3 #<", "xyz = 3: unknown key. Known keys: name, seed,"),
    "table at the top": ("[training]", "[traning] #<", 'traning = { image_size = 32, batch_size = 8 }: unknown key. Did you mean "training"?'),
    "key of training": ("batch_size = 8", "batchsize = 8 #<", 'training.batchsize = 8: unknown key. Did you mean "batch_size"?'),
    "key of a stage": ("epochs = 2", "epochs = 2\nlearningrate = 1 #<", 'stages.all.learningrate = 1: unknown key. Did you mean "learning_rate"?'),
    "key of early stopping": ("{ patience = 2 }", "{ patiense = 2 } #<", 'stages.all.early_stopping.patiense = 2: unknown key. Did you mean "patience"? Known keys: monitor, patience.'),
    "key of a dataset": ("classes = 2", "clases = 2 #<", 'dataset.clases = 2: unknown key. Did you mean "classes"? Known keys: classes, train,'),
    "key of an augmentation": ("zoom = 0.2", "zom = 0.2 #<", 'augmentation.zom = 0.2: unknown key. Did you mean "zoom"? Known keys: horizontal_flip,'),
    "key of an architecture": ("dense_units", '"dense units" = [2] #<\ndense_units', 'architecture."dense units" = [2]: unknown key. Did you mean "dense_units"?'),
    "key of a schedule": ("warmup_fraction = 0.1 }", "warmup = 0.1 } #<", "stages.all.schedule.warmup = 0.1: unknown key."),
    "table of a stage": ("[[stages]]\nname = \"all\"", "[stages.schedul] #<\nname = 1\n[[stages]]\nname = \"all\"", 'stages.head.schedul = { name = 1 }: unknown key. Did you mean "schedule"?'),
    # what is missing
    "name": ('name = "shapes"\nseed', "#<\nseed", "name: required, but missing."),
    "name of the dataset": ('[dataset]\nname = "shapes"', "[dataset] #<", "dataset.name: required, but missing."),
    "misspelt name of the architecture": ('[architecture]\nname = "', '[architecture] #<\nnme = "', 'architecture.name: required, but missing; "nme" was found instead.'),
    "epochs": ("[[stages]]\nname = \"head\"\nunfreeze = \"head\"\nepochs = 1", "[[stages]] #<\nname = \"head\"", "stages.head.epochs: required, but missing."),
    "learning rate": ('[[stages]]\nname = "all"', '[[stages]] #<\nname = "third"\nepochs = 1\n[[stages]]\nname = "all"', "stages.third.learning_rate: required, but missing."),
    "name of a schedule": ('{ name = "cosine", warmup_fraction = 0.1 }', '{ nam = "cosine" } #<', 'stages.all.schedule.name: required, but missing; "nam" was found instead.'),
    "everything": (GOOD, "#<", "name: required, but missing.", "dataset: required", "architecture: required", "stages: required"),
    # types
    "seed as text": ("seed = 3", 'seed = "3" #<', 'seed = "3": expected an integer.'),
    "seed as a float": ("seed = 3", "seed = 3.0 #<", "seed = 3.0: expected an integer."),
    "seed as a date": ("seed = 3", "seed = 2026-01-01 #<", 'seed = "2026-01-01": expected an integer.'),
    "name as a number": ('name = "shapes"\nseed', "name = 3 #<\nseed", "name = 3: expected a string."),
    "truth as a number": ("epochs = 2", "epochs = true #<", "stages.all.epochs = true: expected an integer."),
    "rate as text": ("learning_rate = 0.01", 'learning_rate = "0.01" #<', 'stages.all.learning_rate = "0.01": expected a number.'),
    "rate as truth": ("learning_rate = 0.01", "learning_rate = true #<", "stages.all.learning_rate = true: expected a number."),
    "training as text": (GOOD, 'training = "fast" #<\n' + GOOD.replace(TRAINING, ""), 'training = "fast": expected a table.'),
    "dataset as a number": (GOOD, "dataset = 3 #<\n" + GOOD.replace(DATASET, ""), 'dataset = 3: expected a name in quotes, or a table with a "name".'),
    "dataset as a date": (GOOD, "dataset = 2026-01-01 #<\n" + GOOD.replace(DATASET, ""), 'dataset = "2026-01-01": unknown dataset.'),
    "stages as a table": (GOOD, HEAD + "[stages] #<\nepochs = 1", "stages: expected an array of tables, each beginning with [[stages]]."),
    "stages as text": (GOOD, 'stages = "head" #<\n' + HEAD, 'stages = "head": expected an array.'),
    "no stages": (GOOD, "stages = [] #<\n" + HEAD, "stages = []: expected 1 or more entries."),
    "a stage as text": (GOOD, 'stages = ["head"] #<\n' + HEAD, 'stages.0 = "head": expected a table.'),
    "schedule as a number": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', "schedule = 3 #<", 'stages.all.schedule = 3: expected a name in quotes, or a table with a "name".'),
    "schedule as truth": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', "schedule = true #<", 'stages.all.schedule = true: expected a name in quotes, or a table with a "name".'),
    "schedule's name as a number": ('{ name = "cosine", warmup_fraction = 0.1 }', "{ name = 3 } #<", "stages.all.schedule.name = 3: expected a string."),
    "optimizer as an array": ('{ name = "sgd", momentum = 0.9 }', "[1] #<", 'stages.all.optimizer = [1]: expected a name in quotes, or a table with a "name".'),
    "augmentation as a number": ("epochs = 2", "epochs = 2\naugmentation = 3 #<", 'stages.all.augmentation = 3: expected a name in quotes, or a table with a "name".'),
    "component's number as text": ("classes = 2", 'classes = "2" #<', 'dataset.classes = "2": expected an integer.'),
    "component's float as text": ("zoom = 0.2", 'zoom = "0.2" #<', 'augmentation.zoom = "0.2": expected a number.'),
    "entry of an array": ("[8, 4]", '[8, "4"] #<', 'architecture.dense_units.1 = "4": expected an integer.'),
    "number for an array": ("[8, 4]", "8 #<", "architecture.dense_units = 8: expected an array."),
    "early stopping as truth": ("{ patience = 2 }", "true #<", "stages.all.early_stopping = true: expected a table."),
    # ranges and choices
    "seed too small": ("seed = 3", "seed = -1 #<", "seed = -1: expected a number of at least 0."),
    "seed too large": ("seed = 3", "seed = 4294967296 #<", "seed = 4294967296: expected a number less than 4294967296."),
    "image size": ("image_size = 32", "image_size = 4 #<", "training.image_size = 4: expected a number of at least 8."),
    "batch size": ("batch_size = 8", "batch_size = 0 #<", 'training.batch_size = 0: expected a number of images, at least 1, or "auto".'),
    "epochs zero": ("epochs = 2", "epochs = 0 #<", "stages.all.epochs = 0: expected a number of at least 1."),
    "rate zero": ("learning_rate = 0.01", "learning_rate = 0 #<", "stages.all.learning_rate = 0: expected a number greater than 0"),
    "rate nan": ("learning_rate = 0.01", "learning_rate = nan #<", "stages.all.learning_rate = nan: expected a finite number."),
    "rate inf": ("learning_rate = 0.01", "learning_rate = inf #<", "stages.all.learning_rate = inf: expected a finite number."),
    "component's nan": ("zoom = 0.2", "zoom = nan #<", "augmentation.zoom = nan: expected a finite number."),
    "label smoothing": ("epochs = 2", "epochs = 2\nlabel_smoothing = 1 #<", "stages.all.label_smoothing = 1: expected a number less than 1"),
    "layer decay": ("epochs = 2", "epochs = 2\nlayer_decay = 0 #<", "stages.all.layer_decay = 0: expected a number greater than 0"),
    "weight decay": ("epochs = 2", "epochs = 2\nweight_decay = -1 #<", "stages.all.weight_decay = -1: expected a number of at least 0"),
    "patience": ("patience = 2 }", "patience = 0 } #<", "stages.all.early_stopping.patience = 0: expected a number of at least 1."),
    "component's range": ("classes = 2", "classes = 9 #<", "dataset.classes = 9: expected a number of at most 4."),
    "precision": ("batch_size = 8", 'precision = "mixed_float" #<', 'training.precision = "mixed_float": expected "float32", "mixed_bfloat16" or "mixed_float16". Did you mean "mixed_float16"?'),
    "backend": ("batch_size = 8", 'backend = "pytorch" #<', 'training.backend = "pytorch": expected "auto", "tensorflow", "jax" or "torch". Did you mean "torch"?'),
    "batchnorm": ("epochs = 2", 'epochs = 2\nbatchnorm = "freeze" #<', 'stages.all.batchnorm = "freeze": expected "frozen" or "train". Did you mean "frozen"?'),
    "component's choice": ("dense_units = [8, 4]", 'padding = "sam" #<', 'architecture.padding = "sam": expected "same" or "valid". Did you mean "same"?'),
    "name with a slash": ('name = "shapes"\nseed', 'name = "a/b" #<\nseed', 'name = "a/b": expected a string that matches '),
    "stage's name": ('name = "all"', 'name = "all of it" #<', 'stages.1.name = "all of it": expected a string that matches '),
    "text that a terminal would obey": ('name = "all"', r'name = "\u001b[2J\u009b1m" #<', r'stages.1.name = "\u001b[2J\u009b1m": expected a string'),
    "stage's name twice": ('name = "all"', 'name = "head" #<', 'stages.1.name = "head": another stage already has this name.'),
    # unfreeze, class weights, optimizer
    "unfreeze a word": ('["block*"]', '"everything" #<', 'stages.all.unfreeze = "everything": expected "head", "last:N"'),
    "unfreeze last:0": ('["block*"]', '"last:0" #<', 'stages.all.unfreeze = "last:0": expected "head", "last:N" with N at least 1'),
    "unfreeze a number": ('["block*"]', "3 #<", "stages.all.unfreeze = 3: expected"),
    "unfreeze nothing": ('["block*"]', "[] #<", "stages.all.unfreeze = []: expected"),
    "unfreeze numbers": ('["block*"]', "[1, 2] #<", "stages.all.unfreeze = [1, 2]: expected"),
    "unfreeze a table": ('["block*"]', "{ last = 2 } #<", "stages.all.unfreeze = { last = 2 }: expected"),
    "class weights' word": ("{ circle = 2, square = 1.5 }", '"balance" #<', 'stages.all.class_weights = "balance": expected "balanced" or a table'),
    "class weights below zero": ("square = 1.5 }", '"a b" = -1 } #<', 'stages.all.class_weights = { circle = 2, "a b" = -1 }: expected "balanced" or'),
    "class weights infinite": ("square = 1.5 }", "square = inf } #<", "stages.all.class_weights.square = inf: expected a finite number."),
    "optimizer's name": ('name = "sgd", momentum = 0.9 }', 'name = "adm" } #<', 'stages.all.optimizer.name = "adm": expected "adadelta", '),
    "optimizer in short": ('{ name = "sgd", momentum = 0.9 }', '"AdamW" #<', 'stages.all.optimizer = "AdamW": expected "adadelta", '),
    "optimizer that accumulates": ("momentum = 0.9 }", "gradient_accumulation_steps = 2 } #<", "stages.all.optimizer.gradient_accumulation_steps: set gradient_accumulation in the stage or in training instead."),
    # components
    "dataset": ('[dataset]\nname = "shapes"\nclasses = 2', '[dataset]\nname = "shape" #<', 'dataset.name = "shape": unknown dataset. Did you mean "shapes"? `kerascnn plugins list --kind dataset` lists all '),
    "architecture": ('"sequential_cnn"', '"sequentialcnn" #<', 'architecture.name = "sequentialcnn": unknown architecture. Did you mean "sequential_cnn"?'),
    "augmentation": ('"light"', '"lite" #<', 'augmentation.name = "lite": unknown augmentation. Did you mean "light"?'),
    "schedule in short": ('schedule = { name = "cosine", warmup_fraction = 0.1 }', 'schedule = "cosin" #<', 'stages.all.schedule = "cosin": unknown schedule. Did you mean "cosine"?'),
    "stage's augmentation": ("epochs = 2", 'epochs = 2\naugmentation = "strng" #<', 'stages.all.augmentation = "strng": unknown augmentation. Did you mean "strong"?'),
    # more of everything, one for each key that an experiment knows
    "resize": ("batch_size = 8", 'resize = "croped" #<', 'training.resize = "croped": expected "crop", "pad" or "stretch". Did you mean "crop"?'),
    "crop margin": ("batch_size = 8", "crop_margin = 1.5 #<", "training.crop_margin = 1.5: expected a number of at most 1"),
    "crop margin below zero": ("batch_size = 8", "crop_margin = -0.1 #<", "training.crop_margin = -0.1: expected a number of at least 0"),
    "prefix precision": ("batch_size = 8", 'prefix_precision = "float16" #<', 'training.prefix_precision = "float16": expected "float32", "mixed_bfloat16" or "mixed_float16"'),
    "activations": ("batch_size = 8", "activations_gb = -1 #<", "training.activations_gb = -1: expected a number of at least 0"),
    "activations as text": ("batch_size = 8", 'activations_gb = "4 GB" #<', 'training.activations_gb = "4 GB": expected a number.'),
    "keep": ("batch_size = 8", 'keep = "first" #<', 'training.keep = "first": expected "best", "last" or "best:METRIC", such as "best:balanced_accuracy".'),
    "checkpoints": ("batch_size = 8", "checkpoint_seconds = -5 #<", "training.checkpoint_seconds = -5: expected a number of at least 0"),
    "bad images": ("batch_size = 8", 'on_bad_image = "ignore" #<', 'training.on_bad_image = "ignore": expected "error" or "skip".'),
    "duplicates": ("batch_size = 8", 'on_duplicate = "alow" #<', 'training.on_duplicate = "alow": expected "error", "skip" or "allow". Did you mean "allow"?'),
    "stream above": ("batch_size = 8", "stream_above_gb = 0 #<", "training.stream_above_gb = 0: expected a number greater than 0"),
    "image size as a float": ("image_size = 32", "image_size = 32.5 #<", "training.image_size = 32.5: expected an integer."),
    "image size too large": ("image_size = 32", "image_size = 4096 #<", "training.image_size = 4096: expected a number of at most 2048."),
    "image size as a pair": ("image_size = 32", "image_size = [32, 32] #<", "training.image_size = [32, 32]: expected an integer."),
    "image size in words": ("image_size = 32", 'image_size = "32px" #<', 'training.image_size = "32px": expected an integer.'),
    "batch size below zero": ("batch_size = 8", "batch_size = -8 #<", 'training.batch_size = -8: expected a number of images, at least 1, or "auto".'),
    "key of training in capitals": ("batch_size = 8", "Batch_Size = 8 #<", 'training.Batch_Size = 8: unknown key. Did you mean "batch_size"?'),
    "key of Keras": ("batch_size = 8", "validation_split = 0.2 #<", "training.validation_split = 0.2: unknown key."),
    "table within training": ("batch_size = 8", "batch_size = { train = 8 } #<", 'training.batch_size = { train = 8 }: expected a number of images, at least 1, or "auto".'),
    "empty name": ('name = "shapes"\nseed', 'name = "" #<\nseed', 'name = "": expected a string that matches '),
    "name of two lines": ('name = "shapes"\nseed', 'name = "a\\nb" #<\nseed', 'name = "a\\nb": expected a string that matches '),
    "name that climbs": ('name = "shapes"\nseed', 'name = "../up" #<\nseed', 'name = "../up": expected a string that matches '),
    "name as an array": ('name = "shapes"\nseed', 'name = ["shapes"] #<\nseed', 'name = ["shapes"]: expected a string.'),
    "seed as truth": ("seed = 3", "seed = true #<", "seed = true: expected an integer."),
    "seed as an array": ("seed = 3", "seed = [1, 2, 3] #<", "seed = [1, 2, 3]: expected an integer."),
    "seed not a number": ("seed = 3", "seed = nan #<", "seed = nan: expected a"),
    "epochs as a float": ("epochs = 2", "epochs = 2.5 #<", "stages.all.epochs = 2.5: expected an integer."),
    "epochs as text": ("epochs = 2", 'epochs = "two" #<', 'stages.all.epochs = "two": expected an integer.'),
    "epochs below zero": ("epochs = 2", "epochs = -2 #<", "stages.all.epochs = -2: expected a number of at least 1."),
    "epoch for epochs": ('[[stages]]\nname = "all"\nunfreeze = ["block*"]\nepochs = 2', '[[stages]] #<\nname = "all"\nunfreeze = ["block*"]\nepoch = 2', 'stages.all.epochs: required, but missing; "epoch" was found instead.', 'stages.all.epoch = 2: unknown key. Did you mean "epochs"?'),
    "lr for learning_rate": ('[[stages]]\nname = "all"\nunfreeze = ["block*"]\nepochs = 2\nlearning_rate = 0.01', '[[stages]] #<\nname = "all"\nunfreeze = ["block*"]\nepochs = 2\nlr = 0.01', "stages.all.learning_rate: required, but missing.", "stages.all.lr = 0.01: unknown key."),
    "rate below zero": ("learning_rate = 0.01", "learning_rate = -0.01 #<", "stages.all.learning_rate = -0.01: expected a number greater than 0"),
    "rate as an array": ("learning_rate = 0.01", "learning_rate = [0.01] #<", "stages.all.learning_rate = [0.01]: expected a number."),
    "rate with its schedule": ("learning_rate = 0.01", 'learning_rate = { name = "cosine" } #<', 'stages.all.learning_rate = { name = "cosine" }: expected a number.'),
    "stage's batch size": ("epochs = 2", "epochs = 2\nbatch_size = 0 #<", "stages.all.batch_size = 0: expected a number of at least 1."),
    "views": ("epochs = 2", "epochs = 2\nviews = 0 #<", "stages.all.views = 0: expected a number of at least 1."),
    "views as truth": ("epochs = 2", "epochs = 2\nviews = true #<", "stages.all.views = true: expected an integer."),
    "layer decay above one": ("epochs = 2", "epochs = 2\nlayer_decay = 1.5 #<", "stages.all.layer_decay = 1.5: expected a number of at most 1"),
    "moving average": ("epochs = 2", "epochs = 2\nema_fraction = -1 #<", "stages.all.ema_fraction = -1: expected a number of at least 0"),
    "moving average above one": ("epochs = 2", "epochs = 2\nema_fraction = 2 #<", "stages.all.ema_fraction = 2: expected a number of at most 1"),
    "norm": ("epochs = 2", "epochs = 2\nclip_norm = -1 #<", "stages.all.clip_norm = -1: expected a number of at least 0"),
    "norm as text": ("epochs = 2", 'epochs = 2\nclip_norm = "1" #<', 'stages.all.clip_norm = "1": expected a number.'),
    "label smoothing below zero": ("epochs = 2", "epochs = 2\nlabel_smoothing = -0.1 #<", "stages.all.label_smoothing = -0.1: expected a number of at least 0"),
    "weight decay infinite": ("epochs = 2", "epochs = 2\nweight_decay = inf #<", "stages.all.weight_decay = inf: expected a finite number."),
    "batchnorm as truth": ("epochs = 2", "epochs = 2\nbatchnorm = true #<", 'stages.all.batchnorm = true: expected "frozen" or "train".'),
    "early stopping's monitor": ("{ patience = 2 }", '{ monitor = "accuracy" } #<', 'stages.all.early_stopping.monitor = "accuracy": expected "val_accuracy" or "val_loss". Did you mean "val_accuracy"?'),
    "monitor that no metric measures": ("{ patience = 2 }", '{ monitor = "val_macro_f1" } #<', 'stages.all.early_stopping.monitor = "val_macro_f1": expected "val_accuracy" or "val_loss". To have it, add metrics = ["macro_f1"] above the first table.'),
    "keep by no metric": ("batch_size = 8", 'keep = "best:macro_f1" #<', 'training.keep = "best:macro_f1": expected "best" or "last". To have it, add metrics = ["macro_f1"] above the first table.'),
    "keep by another metric": ("batch_size = 8", 'keep = "best:top_k" #<\n[[metrics]]\nname = "top_k"\nk = 1', 'training.keep = "best:top_k": expected "best", "last" or "best:top_k_1". Did you mean "best:top_k_1"?'),
    "keep by one that is not among the metrics": ("batch_size = 8", 'keep = "best:macro_f1" #<\n[[metrics]]\nname = "top_k"', 'training.keep = "best:macro_f1": expected "best", "last" or "best:top_k". To have it, add "macro_f1" to metrics.'),
    "keep by a metric with parameters": ("batch_size = 8", 'keep = "best:top_k_3" #<', 'training.keep = "best:top_k_3": expected "best" or "last". To have it, add { name = "top_k", … } with its parameters to metrics.'),
    "metrics that no name tells apart": ("[training]", '[[metrics]]\nname = "quadratic_kappa"\n[[metrics]] #<\nname = "quadratic_kappa"\norder = ["a", "b"]\n[training]', 'metrics.1: another metric already has the name "quadratic_kappa". Only parameters that are numbers, true, false or single words are part of a name.'),
    "metric": ("[training]", '[[metrics]]\nname = "makro_f1" #<\n[training]', 'metrics.makro_f1.name = "makro_f1": unknown metric. Did you mean "macro_f1"?'),
    "metric's parameter": ("[training]", '[[metrics]]\nname = "top_k"\nk = 0 #<\n[training]', "metrics.top_k.k = 0: expected a number of at least 1."),
    "metric twice": ("[training]", '[[metrics]]\nname = "top_k"\n[[metrics]] #<\nname = "top_k"\nk = 5\n[training]', 'metrics.1: another metric already has the name "top_k".'),
    "patience as a float": ("patience = 2 }", "patience = 2.5 } #<", "stages.all.early_stopping.patience = 2.5: expected an integer."),
    "early stopping as a number": ("{ patience = 2 }", "3 #<", "stages.all.early_stopping = 3: expected a table."),
    "unfreeze in capitals": ('["block*"]', '"ALL" #<', 'stages.all.unfreeze = "ALL": expected "head"'),
    "unfreeze last": ('["block*"]', '"last" #<', 'stages.all.unfreeze = "last": expected "head"'),
    "unfreeze last:two": ('["block*"]', '"last:two" #<', 'stages.all.unfreeze = "last:two": expected "head"'),
    "unfreeze last:-1": ('["block*"]', '"last:-1" #<', 'stages.all.unfreeze = "last:-1": expected "head"'),
    "unfreeze truth": ('["block*"]', "true #<", "stages.all.unfreeze = true: expected"),
    "class weights as a number": ("{ circle = 2, square = 1.5 }", "2 #<", 'stages.all.class_weights = 2: expected "balanced" or a table'),
    "class weights as an array": ("{ circle = 2, square = 1.5 }", "[1, 2] #<", 'stages.all.class_weights = [1, 2]: expected "balanced" or a table'),
    "class weight as text": ("square = 1.5 }", 'square = "x" } #<', "stages.all.class_weights = "),
    "class weight as truth": ("square = 1.5 }", "square = true } #<", "stages.all.class_weights = "),
    "class weight of zero": ("square = 1.5 }", "square = 0 } #<", "stages.all.class_weights = "),
    "optimizer's argument": ("momentum = 0.9 }", "momentm = 0.9 } #<", 'stages.all.optimizer.momentm = 0.9: unknown key. Did you mean "momentum"? Known keys: name, momentum, nesterov, clipnorm,'),
    "another optimizer's argument": ("momentum = 0.9 }", "beta_1 = 0.9 } #<", "stages.all.optimizer.beta_1 = 0.9: unknown key."),
    "optimizer's rate": ("momentum = 0.9 }", "learning_rate = 0.9 } #<", "stages.all.optimizer.learning_rate = 0.9: unknown key."),
    "optimizer's argument as text": ("momentum = 0.9 }", 'momentum = "high" } #<', 'stages.all.optimizer.momentum = "high": expected a number, true or false.'),
    "optimizer's argument as an array": ("momentum = 0.9 }", "nesterov = [true] } #<", "stages.all.optimizer.nesterov = [true]: expected a number, true or false."),
    "optimizer's share": ("momentum = 0.9 }", "momentum = 9 } #<", "stages.all.optimizer.momentum = 9: expected a number from 0 to 1."),
    "two ways of clipping": ("momentum = 0.9 }", "clipnorm = 1, clipvalue = 1 } #<", "stages.all.optimizer: clipnorm and clipvalue are mutually exclusive; keep one."),
    "clipping twice": ('optimizer = { name = "sgd", momentum = 0.9 }', 'clip_norm = 1\noptimizer = { name = "sgd", clipnorm = 1 } #<', "stages.all.optimizer: clipnorm and the stage's clip_norm are mutually exclusive; keep one."),
    "optimizer as a class": ('name = "sgd", momentum = 0.9 }', 'name = "AdamW" } #<', 'stages.all.optimizer.name = "AdamW": expected "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop", "schedule_free_adamw" or "sgd". Did you mean "adamw"?'),
    "network of another size": ('name = "sequential_cnn"\ndense_units = [8, 4]', 'name = "resnet18" #<', 'architecture.name = "resnet18": unknown architecture. Did you mean "resnet50", "resnet101" or "resnet152"?'),
    "weights file": ('name = "sequential_cnn"\ndense_units = [8, 4]', 'name = "resnet50"\nweights = "mine.h5" #<', 'architecture.weights = "mine.h5": no such file, relative to '),
    "weights in capitals": ('name = "sequential_cnn"\ndense_units = [8, 4]', 'name = "resnet50"\nweights = "ImageNet" #<', 'architecture.weights = "ImageNet": expected "imagenet", "none", or a file of weights'),
    "images too small for the network": ('name = "sequential_cnn"\ndense_units = [8, 4]', 'name = "xception" #<', 'architecture.name = "xception": image_size = 32 is too small; the minimum is 71 pixels.'),
    "images too small for the depth": ("dense_units = [8, 4]", "depth = 6 #<", "architecture.depth = 6: image_size = 32 is too small for depth = 6: after 5 blocks no pixels are left to pool. Set training.image_size to 64 or more, or architecture.depth to 5."),
    "folder": ('name = "shapes"\nclasses = 2', 'name = "image_folder"\npath = "gone" #<', 'dataset.path = "gone": there is no folder "gone" (resolved to '),
    "table of labels": ('name = "shapes"\nclasses = 2', 'name = "image_folder"\npath = "."\nlabels = "gone.csv" #<', 'dataset.labels = "gone.csv": no such file in '),
    "Windows path with a tab in it": ('name = "shapes"\nclasses = 2', 'name = "image_folder"\npath = "data\\train" #<', r"""dataset.path = "data\train": in double quotes a backslash begins an escape sequence. Write Windows paths in single quotes, 'data\train', or with forward slashes."""),
    "optimizer as a number": ('{ name = "sgd", momentum = 0.9 }', "1 #<", 'stages.all.optimizer = 1: expected a name in quotes, or a table with a "name".'),
    "optimizer's name as a number": ('name = "sgd", momentum = 0.9 }', "name = 1 } #<", 'stages.all.optimizer.name = 1: expected "adadelta", '),
    "shapes as a float": ("classes = 2", "classes = 2.0 #<", "dataset.classes = 2.0: expected an integer."),
    "shapes too few": ("classes = 2", "classes = 1 #<", "dataset.classes = 1: expected a number of at least 2."),
    "shapes' size": ("classes = 2", "size = 4 #<", "dataset.size = 4: expected a number of at least 8."),
    "shapes' images": ("classes = 2", "train = 0 #<", "dataset.train = 0: expected a number of at least 1."),
    "shapes' seed": ("classes = 2", "image_seed = -1 #<", "dataset.image_seed = -1: expected a number of at least 0."),
    "key of another dataset": ("classes = 2", 'path = "photos" #<', 'dataset.path = "photos": unknown key. Known keys: classes, train,'),
    "folder without its path": ('[dataset]\nname = "shapes"\nclasses = 2', '[dataset] #<\nname = "image_folder"', "dataset.path: required, but missing."),
    "path as a number": ('name = "shapes"\nclasses = 2', 'name = "image_folder"\npath = 3 #<', "dataset.path = 3: expected a string."),
    "shares that leave nothing": ('[dataset]\nname = "shapes"\nclasses = 2', '[dataset] #<\nname = "image_folder"\npath = "x"\nvalidation_fraction = 0.5\ntest_fraction = 0.5', "dataset = {"),
    "share of all": ('name = "shapes"\nclasses = 2', 'name = "image_folder"\npath = "x"\ntest_fraction = 1 #<', "dataset.test_fraction = 1: expected a number less than 1"),
    "dataset of Keras": ('name = "shapes"\nclasses = 2', 'name = "keras_datasets"\ndataset = "cifar" #<', 'dataset.dataset = "cifar": expected "mnist", "fashion_mnist", "cifar10" or "cifar100". Did you mean "cifar10"?'),
    "zoom": ("zoom = 0.2", "zoom = 0.9 #<", "augmentation.zoom = 0.9: expected a number of at most 0.5"),
    "rotation": ("zoom = 0.2", "rotation_degrees = 200 #<", "augmentation.rotation_degrees = 200: expected a number of at most 180"),
    "rotation in other words": ("zoom = 0.2", "rotation = 20 #<", 'augmentation.rotation = 20: unknown key. Did you mean '),
    "flip as truth": ("zoom = 0.2", "horizontal_flip = true #<", "augmentation.horizontal_flip = true: expected a number."),
    "augmentation's name as a number": ('name = "light"', "name = 1 #<", "augmentation.name = 1: expected a string."),
    "augmentation as an array": ('[augmentation]\nname = "light"\nzoom = 0.2', 'augmentation = ["light"] #<', 'dataset.augmentation = ["light"]: unknown key.'),
    "depth": ("dense_units = [8, 4]", "depth = 11 #<", "architecture.depth = 11: expected a number of at most 10."),
    "dropout": ("dense_units = [8, 4]", "dropout = 1 #<", "architecture.dropout = 1: expected a number less than 1"),
    "dense units of none": ("[8, 4]", "[8, 0] #<", "architecture.dense_units.1 = 0: expected a number of at least 1."),
    "normalization as text": ("dense_units = [8, 4]", 'batch_normalization = "yes" #<', 'architecture.batch_normalization = "yes": expected true or false.'),
    "weights of what has none": ("dense_units = [8, 4]", 'weights = "imagenet" #<', 'architecture.weights = "imagenet": unknown key.'),
    "weights as truth": ('"sequential_cnn"\ndense_units = [8, 4]', '"resnet50"\nweights = true #<', "architecture.weights = true: expected a string."),
    "architecture in capitals": ('"sequential_cnn"\ndense_units = [8, 4]', '"ResNet50" #<', 'architecture.name = "ResNet50": unknown architecture. Did you mean "resnet50"?'),
    "empty architecture": ('"sequential_cnn"\ndense_units = [8, 4]', '"" #<', 'architecture.name = "": unknown architecture.'),
    "import path": ('"sequential_cnn"\ndense_units = [8, 4]', '"os:system" #<', 'architecture.name = "os:system": unknown architecture.'),
    "warm-up": ("warmup_fraction = 0.1 }", "warmup_fraction = 1 } #<", "stages.all.schedule.warmup_fraction = 1: expected a number less than 1"),
    "step's epochs": ('{ name = "cosine", warmup_fraction = 0.1 }', '{ name = "step", every_epochs = 0 } #<', "stages.all.schedule.every_epochs = 0: expected a number of at least 1."),
    "step's factor": ('{ name = "cosine", warmup_fraction = 0.1 }', '{ name = "step", factor = 1 } #<', "stages.all.schedule.factor = 1: expected a number less than 1"),
    "schedule as an array": ('{ name = "cosine", warmup_fraction = 0.1 }', '["cosine"] #<', 'stages.all.schedule = ["cosine"]: expected a name in quotes, or a table with a "name".'),
    "stages twice over": ('[[stages]]\nname = "all"', '[[stages]] #<\n[[stages]]\nname = "all"', "stages.1.name: required", "stages.1.epochs: required", "stages.1.learning_rate: required"),
    "everything in a table": ('name = "shapes"\nseed = 3', '# my experiment #<\n[experiment]\nname = "shapes"', "name: required, but missing.", 'experiment = { name = "shapes" }: unknown key.'),
}
# fmt: on
JARGON = "Input should|type=|literal|function-|tuple|dict|Choice|pydantic|None|union|Traceback"

UNREADABLE = {
    "no equals sign": (b"name\n", ", line 1, column 5: not valid TOML: Expected"),
    "open string": (b'a = 1\nname = "x\n', ", line 2, column 10: not valid TOML: Illegal"),
    "key twice": (b"a = 1\na = 2\n", ", line 2: a is set twice, on lines 1 and 2; remove"),
    "key of a stage twice": (
        b"[[stages]]\nepochs = 1\n[[stages]]\nepochs = 2\n\nepochs = 3\n",
        ", line 6: stages.1.epochs is set twice, on lines 4 and 6; remove one.",
    ),
    "dotted key twice": (
        b'[a]\nb.c = 1\n"b".c = 2\n',
        ", line 3: a.b.c is set twice, on lines 2 and 3; remove one.",
    ),
    "Windows path": (
        rb'path = "C:\Users\me"',
        ", line 1, column 13: not valid TOML: Invalid hex value; in double quotes a backslash begins "
        r"an escape sequence. Write Windows paths in single quotes, 'C:\Users\me', or with forward "
        "slashes.",
    ),
    "Windows path with a space": (
        rb'path = "D:\my photos"',
        r", line 1, column 13: not valid TOML: Unescaped '\' in a string; in double quotes a ",
    ),
    "open array": (b"a = [1\n", ", end of document: not valid TOML: Unclosed array"),
    "Latin-1": ('a = 1\nname = "Blüten"\n'.encode("latin-1"), ", line 2: not UTF-8; save"),
    "UTF-16": ('name = "x"\n'.encode("utf-16"), ", line 1: not UTF-8; save"),
    "empty array of tables": (b"[[stages]\n", ", line 1, column 9: not valid TOML: Expected"),
    "single quotes that never end": (
        b"a = 'x\nb = 1\n",
        ", end of document: not valid TOML: Expected",
    ),
    "word without quotes": (
        b"name = shapes\n",
        ", line 1, column 8: not valid TOML: Invalid value",
    ),
    "YAML": (b"name: shapes\n", ", line 1, column 5: not valid TOML: Expected"),
    "JSON": (b'{"name": "shapes"}\n', ", line 1, column 1: not valid TOML: Invalid"),
    "Python's None": (b"a = None\n", ", line 1, column 5: not valid TOML: Invalid value"),
    "Python's True": (b"a = True\n", ", line 1, column 5: not valid TOML: Invalid value"),
    "inline table that stays open": (b"a = { b = 1\n", ", line 1, column 12: not valid TOML: "),
    "table twice": (b"[a]\n[a]\n", ", line 2: a is set twice, on lines 1 and 2; remove"),
    "zero byte": (b"a = 1\n\0", ", line 2, column 1: not valid TOML: Invalid statement"),
    "image": (b"\x89PNG\r\n\x1a\n\0\0", ", line 1: not UTF-8; save"),
    "deeply nested": (b"a = " + b"[" * 5000 + b"]" * 5000, ": nested too deeply"),
    "nested": (b"name = " + b"[" * 300 + b"]" * 300, ": nested too deeply"),
}

# Runs each file given on its standard input; tells exit code, message, seconds, what was imported.
RUN_ALL = """
import contextlib, io, json, sys, time
from kerascnn.cli import main

answers = {}
for name, file in json.load(sys.stdin).items():
    stderr, start = io.StringIO(), time.process_time()
    sys.argv = ["kerascnn", "run", file]
    with contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    heavy = {"keras", "tensorflow", "jax", "torch", "mlflow"} & set(sys.modules)
    answers[name] = code, stderr.getvalue(), time.process_time() - start, sorted(heavy)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds a file for each bad experiment."""
    folder = tmp_path_factory.mktemp("bad")
    for number, (name, (old, new, *_)) in enumerate(BAD.items()):
        assert GOOD.count(old) == 1, name
        (folder / f"{number}.toml").write_text(GOOD.replace(old, new), "utf-8")
    for number, (content, _) in enumerate(UNREADABLE.values(), len(BAD)):
        (folder / f"{number}.toml").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def answers(folder):
    """What `kerascnn run` says to each of them, in one process of its own."""
    files = {name: f"{number}.toml" for number, name in enumerate((*BAD, *UNREADABLE))}
    ended = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=folder,
        input=json.dumps(files),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def lines_of(answers, name, most=5):
    code, message, seconds, heavy = answers[name]
    assert code == 2, message
    assert seconds < 2
    assert not heavy
    lines = message.splitlines()
    assert len(lines) <= most
    assert all(line.isprintable() and not re.search(JARGON, line) for line in lines)
    return lines


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_said_with_its_line(answers, folder, name):
    _, _, *said = BAD[name]
    number = list(BAD).index(name)
    text = (folder / f"{number}.toml").read_text("utf-8")
    line_number = 1 + [line.endswith("#<") for line in text.splitlines()].index(True)
    for line, expected in zip(lines_of(answers, name), said, strict=True):
        assert re.match(rf"{number}\.toml, line \d+: ", line)
        if len(said) == 1 or expected == said[0]:
            assert line.startswith(f"{number}.toml, line {line_number}: {expected}")
        assert expected in line


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_toml(answers, name):
    number = len(BAD) + list(UNREADABLE).index(name)
    (line,) = lines_of(answers, name)
    assert line.startswith(f"{number}.toml{UNREADABLE[name][1]}")


def test_there_are_many_and_none_of_them_leaves_anything(answers, folder):
    assert len(answers) == len(BAD) + len(UNREADABLE) >= 150
    assert {path.suffix for path in folder.iterdir()} == {".toml"}


@pytest.mark.parametrize("name", ["key at the top", "architecture in capitals", "everything"])
def test_a_whole_process_takes_less_than_two_seconds(folder, name):
    command = "import sys; sys.argv[0] = 'kerascnn'; from kerascnn.cli import main; main()"
    file, before = f"{list(BAD).index(name)}.toml", resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, "-c", command, "run", file], cwd=folder, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 2
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2  # of a processor
