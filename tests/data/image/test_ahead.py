"""The thread that prepares batches: it computes alone, and leaves the threads of training as they are."""

import torch

from dlx.data.image.ahead import Ahead


def test_it_computes_alone_whatever_training_is_given():
    for threads in (2, 3):
        torch.set_num_threads(threads)
        ahead = Ahead(lambda: None)
        torch.set_num_threads(threads)  # as a device is prepared behind it
        first = ahead.submit(lambda: torch.ones(1000, 1000).sum().item())
        assert ahead.wait(first, lambda: None) == 1e6
        assert ahead.wait(ahead.submit(torch.get_num_threads), lambda: None) == 1
        assert torch.get_num_threads() == threads
