"""Images A alone, to be translated."""

from data.translation import TranslationDataset


class SingleDataset(TranslationDataset):
    """Every image of a folder, its sub-folders included, or one file.

    Read is the first of these that is there (for ``--phase test``; val stands in):

        root/testA (with --direction BtoA root/testB), root/test, root itself
    """

    opt: TranslationDataset.Options
    keys = ("A",)

    def __init__(self, opt: TranslationDataset.Options) -> None:
        super().__init__(opt)
        self.read_collection("A", opt.direction[0])
        self.describe({"A": opt.input_nc, "B": opt.output_nc})
