"""Small files of sound: tones that stand for words, written by the standard library."""

import wave

import numpy as np

RATE = 8000
PITCH = {"go": 400, "stop": 900, "yes": 1700}


def tone(word, number=0, seconds=0.2, rate=RATE):
    """Make the sound of a word, a little different each time: float32 (samples,)."""
    draw = np.random.default_rng(number)
    time = np.arange(int(rate * (seconds + 0.05 * draw.random()))) / rate
    return (0.3 * np.sin(2 * np.pi * PITCH[word] * (1 + 0.05 * draw.random()) * time)).astype(np.float32)


def write(file, sound, rate=RATE):
    """Write a WAV file of 16 bits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes((np.asarray(sound) * 32767).astype("<i2").tobytes())


def words(folder, count=24):
    """Write files as word/speaker_number.wav, of speakers a to d."""
    for number in range(count):
        word = list(PITCH)[number % 3]
        write(folder / word / f"{'abcd'[number // 3 % 4]}_{number}.wav", tone(word, number))
    return folder


def manifest(folder, count=16):
    """Write files of one to three words, and the list of them."""
    lines = ["audio\ttext\tspeaker\tduration"]
    for number in range(count):
        said = [list(PITCH)[(number + n) % 3] for n in range(1 + number % 2)]
        sound = np.concatenate([np.pad(tone(word, number), (100, 100)) for word in said])
        write(folder / "wav" / f"{number}.wav", sound)
        lines.append(f"wav/{number}.wav\t{' '.join(said)}\t{'abcd'[number % 4]}\t{len(sound) / RATE}")
    (folder / "list.tsv").write_text("\n".join(lines) + "\n")
    return folder / "list.tsv"
