"""Short animal stories from a grammar: the text on which the test model is trained.

A story is a chain of scenes. Each scene picks one of several sentences and fills in the people, the place and the thing
of this story, so that a model which wants to write on has to look back: the hero keeps its name, its kind and its place
from the first sentence to the last.

>>> story(0).startswith("Once ") or story(0).startswith("Long ") or story(0).startswith("In ")
True
>>> story(7) == story(7)
True
"""

import random

NAMES = (
    "Mira Olo Tessa Bran Pip Luna Finn Nora Hugo Ivy Otto Rosa Milo Wren Juno Kip Lark Arlo Dora Ezra Faye Gus Hazel Remy"
).split()
KINDS = (
    "fox bear hare owl otter mouse badger wolf deer hedgehog squirrel crow turtle frog beaver goat cat goose"
).split()
TRAITS = "small brave quiet clever shy kind old young proud gentle curious merry".split()
PLACES = [
    ("by the river", "the river"), ("under the hill", "the hill"), ("in the deep forest", "the forest"),
    ("near the old mill", "the mill"), ("beside the lake", "the lake"), ("at the edge of the village", "the village"),
    ("on the windy cliff", "the cliff"), ("behind the stone wall", "the wall"), ("in the green valley", "the valley"),
    ("below the tall tower", "the tower"),
]
THINGS = (
    "lantern key map bell drum kite rope basket mirror feather book boat hat ring clock flute stone seed cup ladder"
).split()
COLOURS = "red blue golden silver green white black yellow".split()
FOODS = "honey bread berries apples nuts soup cake cheese plums mushrooms".split()
TIMES = [
    "One morning", "One evening", "On a cold day", "On the first day of spring", "After a long night",
    "When the rain had stopped", "Late in the autumn", "Before the sun came up",
]
WEATHER = [
    "The sky was grey and the wind was cold.", "The sun was warm and the air was still.",
    "Snow lay on every branch.", "A soft rain fell on the leaves.", "The moon hung low over the trees.",
    "The birds were singing in the tall grass.",
]

OPENINGS = [
    "Once there was a {trait} {kind} named {hero}. {hero} lived {where}.",
    "Long ago a {trait} {kind} named {hero} lived {where}.",
    "Once upon a time a {trait} {kind} lived {where}. The name of the {kind} was {hero}.",
    "In a land far away lived a {trait} {kind} called {hero}. The home of {hero} was {where}.",
]
HABITS = [
    "Every day {hero} gathered {food} and sang a song.",
    "{hero} liked {food} more than anything else.",
    "Each night {hero} counted the stars and ate some {food}.",
    "{hero} kept a jar of {food} for the winter.",
]
FINDS = [
    "{time} {hero} found a {colour} {thing} near {place}.",
    "{time} {hero} saw a {colour} {thing} in the grass.",
    "{time} a {colour} {thing} fell from the sky in front of {hero}.",
    "{time} {hero} went to {place} and there lay a {colour} {thing}.",
]
WONDERS = [
    '"Who has lost this {thing}?" asked {hero}.',
    '"What a fine {thing}," said {hero}. "It must belong to someone."',
    '{hero} looked at the {thing} for a long time. "I will find out where it comes from," said the {kind}.',
    'The {kind} had never seen such a {colour} {thing} before.',
]
MEETINGS = [
    "On the way {hero} met a {trait2} {kind2} named {friend}.",
    "Then {friend} the {kind2} came along the path. {friend} was {trait2} and hungry.",
    "Soon a {kind2} called {friend} sat down beside the {kind}.",
    "Behind a tree stood {friend}, a {trait2} {kind2}.",
]
ANSWERS = [
    '"That {thing} is mine," said {friend}. "I lost it when the storm came."',
    '"I know that {thing}," said {friend}. "It belongs to the {kind3} who lives {where2}."',
    '"Be careful," said {friend}. "A {colour} {thing} can wake the {kind3} {where2}."',
    '"Let us go together," said {friend}. "I have heard of a {kind3} {where2} who can help."',
]
JOURNEYS = [
    "So {hero} and {friend} walked until the evening. They crossed {place2} and did not stop.",
    "The {kind} and the {kind2} carried the {thing} all day long.",
    "They walked and walked, and {hero} held the {colour} {thing} very tight.",
    "{friend} knew the way, and {hero} told stories as they went.",
]
TROUBLES = [
    "Suddenly the wind took the {thing} and threw it into the water.",
    "But the path was gone, and it was getting dark.",
    "Then they heard a loud noise, and {friend} began to shake.",
    "But the door was closed, and nobody answered.",
]
DEEDS = [
    '"Do not be afraid," said {hero}, and the {trait} {kind} jumped as far as it could.',
    "{hero} thought for a moment. Then the {kind} had an idea.",
    "{friend} wanted to go home, but {hero} did not give up.",
    '"We are stronger together," said {hero}, and {friend} took a deep breath.',
]
HELP = [
    "With the help of {friend} the {kind} got the {thing} back.",
    "Together they found a light, and the light showed them the {kind3}.",
    "At last they came to the {kind3}, who smiled and opened the door.",
    "The {kind3} heard them and came to help.",
]
THANKS = [
    '"Thank you for the {thing}," said the {kind3}, and gave them {food2}.',
    '"You have a good heart, {hero}," said {friend}.',
    'The {kind3} laughed. "Keep the {colour} {thing}," it said. "You have earned it."',
    "{hero} gave the {thing} to {friend}, and both of them were happy.",
]
ENDINGS = [
    "From that day on {hero} and {friend} were the best of friends.",
    "They ate {food2} until the moon came up, and then they went home.",
    "And if you go {where} you can still see the {kind} and the {kind2} sitting there.",
    "That night {hero} slept well, and the {colour} {thing} shone in the dark.",
]
SCENES = [
    OPENINGS, HABITS, None, FINDS, WONDERS, MEETINGS, ANSWERS, JOURNEYS, TROUBLES, DEEDS, HELP, THANKS, ENDINGS,
]


def story(seed: int) -> str:
    """The story of this number: the same text for the same number, always."""
    r = random.Random(seed)
    hero, friend = r.sample(NAMES, 2)
    kind, kind2, kind3 = r.sample(KINDS, 3)
    (where, place), (where2, place2) = r.sample(PLACES, 2)
    trait, trait2 = r.sample(TRAITS, 2)
    food, food2 = r.sample(FOODS, 2)
    words = dict(
        hero=hero, friend=friend, kind=kind, kind2=kind2, kind3=kind3, where=where, where2=where2, place=place,
        place2=place2, trait=trait, trait2=trait2, food=food, food2=food2, thing=r.choice(THINGS),
        colour=r.choice(COLOURS), time=r.choice(TIMES),
    )
    sentences = [r.choice(scene).format(**words) if scene else r.choice(WEATHER) for scene in SCENES]
    return " ".join(sentences).replace(" a old", " an old").replace(" a owl", " an owl").replace(" a otter", " an otter")


if __name__ == "__main__":
    import doctest
    import sys

    failures, _ = doctest.testmod()
    for seed in map(int, sys.argv[1:]):
        print(story(seed), end="\n\n")
    sys.exit(failures)
