"""Flags of pytorch-CycleGAN-and-pix2pix that mean nothing here: they are taken, with a word on the new way."""

RETIRED = {  # of train.py and test.py
    "display_ncols": "each kind of picture has a row of its own",
    "new_dataset_option": "it was a demonstration; data/template_dataset.py shows how to declare options",
}
RETIRED_TRAIN = RETIRED | {
    "epoch": "--continue_train goes on from the latest state; --init_from RUN begins from another run's weights",
    "load_iter": "--continue_train goes on from the latest state; --init_from RUN begins from another run's weights",
    "epoch_count": "--continue_train knows the epoch that it goes on with",
    "update_html_freq": "the page always shows the newest pictures, which --display_freq makes",
    "display_winsize": "the page shows pictures as large as they are, at least 64 pixels",
}
RETIRED_TEST = RETIRED | {
    "use_wandb": "results go to folders and a page",
    "wandb_project_name": "results go to folders and a page",
}
