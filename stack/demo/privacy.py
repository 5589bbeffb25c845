"""What becomes of personal data on its way to a model and back: one message, as each side sees it."""

from core.catalogue import DEFAULT_CHAT_MODEL
from stack.demo.apps import post
from stack.demo.console import say, step

MESSAGE = "I am Jonas Weber. Please call me on +44 7700 900123 about the lamp that I paid for with card 4012 8888 8888 1881."
_WISH = "Repeat this message word by word: "
_LONGEST_ANSWER = 80


def follow_personal_data(api_url: str, key: str) -> None:
    """Send one message with a name, a phone number and a card, and print what went in, what the model read in its place,
    and the answer."""
    with step(f"The app calls POST {api_url}/v1/anonymize") as calling:
        found = post(api_url, key, "/v1/anonymize", {"input": _WISH + MESSAGE})
        result = found["results"][0]
        calling.note = f"{len(result['entities'])} values found in {result['tokens']} tokens"
    with step(f"The app has {DEFAULT_CHAT_MODEL} repeat the message, POST {api_url}/v1/chat/completions"):
        body = {
            "model": DEFAULT_CHAT_MODEL,
            "messages": [{"role": "user", "content": _WISH + MESSAGE}],
            "temperature": 0,
            "max_completion_tokens": _LONGEST_ANSWER,
        }
        answer = post(api_url, key, "/v1/chat/completions", body)
    say(f"goes in:         {_WISH + MESSAGE}")
    say(f"the pool saw:    {result['text']}")
    say(f"the answer:      {answer['choices'][0]['message']['content']}")
    say("The values come back in memory only: no table, log or model holds them.")
