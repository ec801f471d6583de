"""Draw what a model sees in training: images and augmented copies of them, side by side, as one PNG.

Each row starts with an image of the training part of DATA, framed; its copies follow, with other random numbers each.
DATA is what tfnn train takes: digits, mnist, fashion_mnist, cifar10, cifar100, a .npz file, or a folder with one
sub-folder of images for each class. Options of strength are shares as in the layers of the same name; 0 turns one off.
"""
