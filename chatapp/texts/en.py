"""English: the reference catalogue."""

SENTENCES = {
    # --- flags and help
    "about-chat": "Chat with an open-weight language model in the terminal.",
    "about-web": "Chat with an open-weight language model in the browser.",
    "examples": "examples:",
    "group-model": "model",
    "group-chat": "conversation",
    "group-page": "page",
    "group-settings": "settings of an answer",
    "group-settings-about": "Without a flag, the model's own recommendation counts.",
    "group-other": "other",
    "flag-auth-shape": "--auth takes NAME:PASSWORD, both not empty.",
    "flag-gpus-shape": "--gpus {value} does not work: it takes auto, or numbers of GPUs "
    "(0, or 0,1).",
    "flag-lookup-shape": "--prompt-lookup {value} does not work: it takes a number from 0 to 99.",
    "flag-port-shape": "--server-port {value} does not work: it takes a number from 1 to 65535.",
    "flag-size-shape": "{flag} {value} does not work: it takes auto, or a size such as 512M or 2G "
    "(0 for none).",
    "flag-concurrency-shape": "--concurrency {value} does not work: it takes a number "
    "from 1 to 99.",
    "flag-choice": "{flag} takes one of: {choices}.",
    "flag-needs-value": "{flag} stands without its {value}: --help explains it.",
    "flag-no-value": "{flag} takes no value: leave out what follows it.",
    "face-unknown": "There is no command {word}, but: {known}. The name of a model goes after -c, "
    "a prompt after -p.",
    "face-unknown-close": "There is no command {word}; did you mean {meant}?",
    "flag-stray": "{text} stands alone: -c goes before the name of a model, -p before a prompt.",
    "flag-unknown": "There is no flag {flag}. --help shows them all.",
    "flag-unknown-close": "There is no flag {flag}; did you mean {meant}?",
    # --- models
    "model-not-found": "There is no file or folder {name}, and it is no hub's ORGANISATION/NAME: "
    "check -c/--checkpoint-path.",
    "model-not-a-model": "{path} holds no model: -c takes a folder with a config.json, "
    "or a .gguf file.",
    "model-only-pickled": "{name} has its weights in pickle files alone, which may hide programs: "
    "choose a model with safetensors or GGUF, or use --allow-pickle if you trust its makers.",
    "model-needs-code": "{name} brings Python code of its own, which is not run unasked: choose "
    "another model, or use --trust-remote-code if you trust its makers.",
    "model-without-weights": "{name} holds no weights (safetensors or GGUF): check the name.",
    "model-not-local": "{name} is not whole on this machine, and --offline asks no hub: start once "
    "without it, or give -c the path of a local copy.",
    "gguf-which": "{name} holds several models: add one of them to the name, such as {example}. "
    "There are: {names}.",
    "gguf-several": "{name} fits several models: give more of the name. There are: {names}.",
    "gguf-no-such": "{name} does not fit any of its models: there are {names}.",
    "gguf-none": "{name} names a GGUF file, and the repository has none: leave out what follows "
    "the colon.",
    "disk-full": "The disk is full: {name} needs more room. Make room and start again; what is "
    "here already is kept.",
    "disk-too-small": "{name} needs {missing} more, and the disk of {path} has {free} free: make "
    "room there, or set {variable} to a folder on a larger one.",
    "hub-damaged": "what it sent of {file} is damaged",
    "hub-reason": "{hub}: {said}",
    "hub-reasons": "{one}; {two}",
    "hub-not-known": "no model or revision of this name, or it is private",
    "hub-gated": "it is gated: accept its terms at {url}, and put your token in {token}",
    "hub-unreachable": "it cannot be reached, or the connection broke off",
    "hub-said": "it said: {cause}",
    "model-several-files": "{path} holds several models: give -c one of {names}.",
    "model-not-downloaded": "{name} could not be downloaded ({reasons}). Check the name and the "
    "network, or give -c the path of a local copy.",
    "demo-missing": "The demo model is not installed. Install it with: {command} "
    "- or name a model with -c.",
    "package-missing": "The engine {engine} needs the package {package}. "
    "Install it with: {command}",
    "model-broken": "{name} could not be loaded: {cause}. Check {path}, or download it again.",
    "tokenizer-missing": "{path} has no tokenizer: copy the model's tokenizer files there "
    "(tokenizer.json, tokenizer_config.json).",
    "model-too-large": "There is not enough memory for {name}. Choose a smaller model, "
    "or a .gguf file of it.",
    "package-needed": "{what} needs the package {package}. Install it with: {command}",
    "quantized-already": "{name} is quantised already ({method}): leave --quantize out.",
    "quantize-recurrent": "{name} ({kind}) cannot be quantised while it is loaded: "
    "leave --quantize out, or use a .gguf file of it.",
    "flag-of-other-engine": "The engine {engine} cannot use {flag}: {why}. Leave it out, or use "
    "--engine {own}.",
    "why-adapter": "it reads no adapters of this format",
    "adapter-not-one": "{path} holds no LoRA adapter: it has no readable {file}.",
    "adapter-kind": "{path} holds an adapter of the kind {kind}, and only LoRA is known here.",
    "adapter-no-base": "The adapter {adapter} does not say which model it is for: name it with -c.",
    "adapter-wrong-base": "The adapter {adapter} does not fit {name} ({cause}). It was made for "
    "{base}: name that model with -c, or leave -c out.",
    "cause-other-layers": "they have different layers",
    "why-unlike": "it has nothing of the kind",
    "why-quantized": "its files are quantised as they are",
    "flag-needs-gpu": "{flag} is for GPUs with CUDA, and the model runs on {device}: leave it out.",
    "model-needs-package": "{name} needs a package that is not installed: {cause}.",
    "model-does-not-fit": "{name} does not fit: it takes {needed} in {format}, and {device} has "
    "{free} free. {advice}",
    "flags-apart": "{one} and {other} do not work together: leave one of them out.",
    "guessing-stateful": "{name} cannot use {flag}: its state cannot be taken back after a wrong "
    "guess. Leave the flag out.",
    "draft-other-tokens": "The draft model {name} has other tokens than the model: "
    "choose one of the same family.",
    "architecture-unknown": "{name} is of an architecture that the installed transformers does not "
    "know. Update it with: python -m pip install -U transformers",
    "fit-fits": "It fits: {free} are free.",
    "fit-flags": "It fits with {flags}.",
    "fit-nothing": "Choose a smaller model, or a .gguf file of it.",
    "fit-no-weights": "The engine {engine} has no weights: leave --dry-run out.",
    "fit-model": "{name}: {parameters} billion parameters",
    "fit-format": "format",
    "fit-weights": "weights",
    "fit-loaded": "in memory",
    "fit-does": "fits",
    "fit-flag": "flag",
    "fit-yes": "yes",
    "fit-no": "no",
    "fit-kv": "KV cache of {tokens} tokens: {megabytes} MB",
    "fit-free": "free on {device}: {free}",
    "conversion-not-saved": "The converted weights could not be saved in {path} ({cause}). "
    "Make room there, or set CHATAPP_CACHE_DIR to another folder.",
    "cause-weights-missing": "{count} of its weights are missing, among them {weights}",
    "cause-gguf-damaged": "it is damaged, incomplete or no GGUF file at all, or this llama.cpp "
    "does not know its architecture",
    "llamacpp-needs-gguf": "llama.cpp reads .gguf files only, and {path} is none. "
    "Use --engine transformers, or name a .gguf file with -c.",
    "gpu-missing": "There is no GPU {asked} here, but: {known}. Leave -g out to let chatapp "
    "choose, or use --cpu-only.",
    "gpu-none": "none at all",
    "notice-demo": "This is the demo model {name}: small, quick and often wrong. "
    "Name a real one with -c MODEL (a folder, a .gguf file, a hub's name).",
    "notice-no-template": "This model brings no chat template: ChatML is used. "
    "It may be a base model, which continues texts rather than answers.",
    "notice-batching": "Up to {concurrency} chats are answered together (--concurrency): in "
    "exchange every turn reads its whole conversation, and a seed is sure to repeat a sampled "
    "answer only on a CPU with --dtype float32.",
    "concurrency-unsupported": "{name} cannot answer several chats at once: leave --concurrency "
    "out.",
    "notice-no-system": "This model's template refuses a system message: the system prompt is "
    "put before the first question.",
    # --- settings
    "setting-unknown": "There is no setting {name}. There are: {known}.",
    "setting-unknown-close": "There is no setting {name}; did you mean {meant}?",
    "setting-unsupported": "The engine {engine} does not have {name}. It has: {known}.",
    "setting-bad-value": "{name}={value} does not work: {name} takes {expected}.",
    "setting-not-assigned": "{text} is not of the form key=value.",
    "expected-switch": "true or false",
    "expected-texts": 'a text, or a list such as ["a", "b"] of up to 16',
    "expected-whole": "a whole number from {low} to {high}",
    "expected-number": "a number from {low} to {high}",
    # --- page
    "page-ready": "The page is at {url} (Ctrl-C ends it).",
    "page-ready-network": "From other machines: {url}",
    "page-password-made": "Sign in as {name} with the password {password} "
    "(--auth NAME:PASSWORD sets your own).",
    "page-shared": "Public link: {url} (works until this program ends, a week at most).",
    "page-share-failed": "There is no public link: Gradio's tunnel could not be reached. "
    "The page at {url} works on.",
    "page-port-taken": "Port {port} is taken: choose another with --server-port, or leave the "
    "flag out to get the next free one.",
    "page-ports-taken": "The ports {first} to {last} are all taken: choose one with --server-port.",
    "page-port-refused": "Port {port} cannot be used ({cause}): choose another with --server-port.",
    "page-no-interface": "This machine has no interface {name}: check --server-name "
    "(127.0.0.1: this machine only, 0.0.0.0: all interfaces).",
    "page-loading": "The chat opens here as soon as the model is ready.",
    "page-not-ready": "The model is still loading. Try again in a moment.",
    "page-settings": "Settings",
    "page-system": "System prompt",
    "page-reset": "Reset to the model's own settings",
    "page-empty": "<h2>What would you like to know?</h2>"
    "Enter sends, Shift+Enter begins a new line, Esc stops the answer.",
    "page-message": "Message",
    "page-send": "Send",
    "page-stop": "Stop",
    "page-regenerate": "Regenerate",
    "page-continue": "Continue",
    "page-interrupted": "interrupted",
    "page-edited": "edited",
    "page-tool-edit": "Edit",
    "page-tool-good": "Good answer",
    "page-tool-bad": "Bad answer",
    "page-tool-why": "What is wrong with it? (may stay empty)",
    "page-tool-rename": "Title of the chat",
    "page-tool-fork": "Fork: a copy of the chat up to here",
    "page-tool-earlier-version": "Earlier version",
    "page-tool-later-version": "Later version",
    "page-tool-save": "Save",
    "page-tool-cancel": "Cancel",
    "page-chats": "Chats",
    "page-search": "Search",
    "page-private": "Private: do not store this chat",
    "page-is-private": "This chat is private: it is not stored and ends with the program.",
    "page-today": "Today",
    "page-yesterday": "Yesterday",
    "page-last-days": "Previous {days} days",
    "page-month": "{year}-{month:02}",
    "page-more": "More",
    "page-untitled": "Untitled",
    "page-no-chats": "Your chats will be listed here.",
    "page-nothing-found": "Nothing found.",
    "page-rename": "Rename",
    "page-delete": "Delete",
    "page-deleted": "Deleted: {title}",
    "page-compact": "Compact",
    "page-meter": "The whole conversation: {used:,} of {context:,} tokens of context",
    "page-left-out-next": "The next question will leave out the oldest turns ({count}). Compact: "
    "the model sums them up.",
    "page-nearly-full": "The context is nearly full. Compact: the model sums up the oldest turns.",
    "page-download": "Download",
    "page-upload": "Upload",
    "page-upload-large": "{name} is too large for the page, which takes about {limit} MiB: "
    "import it in the terminal with :import.",
    "page-undo": "Undo",
    "page-taken-back": "Taken back: {question} ·",
    "page-redo": "Redo",
    "page-new-chat": "New chat",
    "page-thinking": "Thinking",
    "page-thought": "Thoughts",
    "page-earlier": "{count} earlier messages are not shown; the model still knows them.",
    "page-sign-in": "Sign in",
    "page-name": "Name",
    "page-password": "Password",
    "page-sign-in-first": "Sign in first: open the page in a browser.",
    "page-sign-in-wrong": "Name or password is wrong.",
    "page-sign-in-busy": "Too many attempts. Wait a moment and try again.",
    "page-host-refused": "This page is not known under this name. Use the address that the "
    "program printed, or start it with --server-name NAME.",
    "page-origin-refused": "This request comes from another website and is refused.",
    "page-too-large": "This is too large to be taken.",
    # --- answering
    "context-overflow": "This message is too long: {tokens} tokens with the system prompt, and the "
    "model's context holds {context}. Shorten the message or the system prompt.",
    "line-full": "{waiting} requests are waiting for the model already. Try again in a moment.",
    "out-of-memory": "The model ran out of memory. Shorten the conversation, or lower "
    "max_new_tokens, and ask again.",
    "not-a-number": "The model computes no numbers (NaN): its weights overflow or are damaged. "
    "Try --dtype float32, or download the model again.",
    "generation-failed": "The model failed: {cause}. What it said so far is kept; ask again.",
    "template-failed": "The model's chat template cannot render this conversation: {cause}. "
    "Begin a new chat, or change the message.",
    "go-on-unsupported": "The chat template of {name} does not let it go on with this answer. "
    "Have the question answered again instead.",
    "engine-closed": "The model was closed while it answered. Start the program again.",
    # --- stored conversations
    "store-cannot-open": "The file of your conversations cannot be opened ({cause}): {path}. "
    "Choose another folder with --data-dir, or chat without it: --private.",
    "store-not-there": "No conversations are stored in {path}. If you mean another folder, "
    "name it with --data-dir.",
    "store-cannot-write": "Nothing is being stored ({cause}): the conversation stays in memory, "
    "and is stored once {path} can be written again.",
    "store-damaged": "The file of your conversations is damaged, and nothing is being stored: "
    "start the program again, or run `chatapp data check`. It is {path}.",
    "store-full": "The disk is full, and nothing is being stored: the conversation stays in "
    "memory. Free some space where {path} is.",
    "store-newer": "A newer chatapp has written {path}: update chatapp, choose another folder with "
    "--data-dir, or chat without it: --private.",
    "store-set-aside": "The file of your conversations was damaged. It is kept as {aside}, and a "
    "new one begins.",
    "store-salvaged": "Conversations that could be read in it, and are in the new file: {count}.",
    "store-log-set-aside": "The newest part of your conversations was not yet in their file, and "
    "is damaged: a copy of it is kept as {aside}.",
    # --- conversations as files
    "export-untitled": "Conversation",
    "export-model": "Model",
    "export-date": "Date",
    "export-system": "System prompt",
    "export-question": "{turn}. Question",
    "export-answer": "Answer",
    "export-reasoning": "Reasoning",
    "export-good": "Marked good",
    "export-bad": "Marked bad",
    "export-unfinished": "This answer was not finished.",
    "exchange-exists": "There is a file of that name already, and it stays as it is: {path}. "
    "Choose another name.",
    "exchange-cannot-write": "{path} cannot be written ({cause}): choose another place.",
    "exchange-cannot-read": "{path} cannot be read ({cause}): check its name and your "
    "rights to it.",
    "exchange-large": "{path} has more than {limit} MiB: import it in several parts.",
    "exchange-not-utf8": "{name} is no text in UTF-8: save it as UTF-8, and import it again.",
    "exchange-not-json": "{name} is no JSON (line {line}: {cause}): import a .json or .jsonl file.",
    "exchange-unknown": "{name} is in no format that can be imported: chatapp's own JSON, "
    "ShareGPT, OpenAI messages, Alpaca, or the conversations.json of a ChatGPT export.",
    "exchange-broken": "In {name}, conversation {number}, {place} is missing or not what it should "
    "be: correct it and import again; nothing was imported from this file.",
    "exchange-newer": "A newer chatapp has written {name}: update chatapp to import it.",
    "exchange-empty": "{name} holds no conversation with a message in it: choose another file.",
    "exchange-skipped": "Left out of {name}, because chatapp keeps text alone: {count} calls of "
    "tools, pictures and files.",
    "exchange-dataset-info": "{path} is no list of datasets as LLaMA-Factory keeps it, and "
    "stays as it is: correct it, or export into another folder.",
    # --- chatapp data
    "about-data": "The stored conversations as files: check, export and import them.",
    "about-data-path": "Show where the stored conversations are.",
    "about-data-check": "Look through the file of the conversations, and mend it if it is damaged.",
    "about-data-vacuum": "Drop deleted conversations for good and give their room back.",
    "about-data-export": "Write conversations to files: JSON, Markdown or training data.",
    "about-data-import": "Take in conversations from files of chatapp and other programs.",
    "data-unknown": "There is no `chatapp data {word}`, but: {known}.",
    "data-unknown-close": "There is no `chatapp data {word}`; did you mean {meant}?",
    "data-stray": "`chatapp data {action}` takes flags alone, and not {text}.",
    "data-sound": "{path} is sound. Conversations: {chats}, messages: {messages}, size: {size}.",
    "data-damaged": "{path} is damaged inside. It is put aside now, and what can be read of it is "
    "brought into a new file; restart what else of chatapp is running.",
    "data-vacuumed": "Size before: {before}, now: {after}.",
    "data-exported": "Exported: {count}, to {files}.",
    "data-imported": "Conversations imported from {file}: {count}.",
    "data-no-files": "Name the files to import: `chatapp data import FILE`.",
    "data-none": "There is nothing to export yet: no conversation is stored. Chat first, or name "
    "another folder with --data-dir.",
    "data-none-owner": "No conversation of {owner} is stored; without --owner it is yours that are "
    "exported.",
    "data-nothing": "There is no such conversation to export; `chatapp data export` alone exports "
    "all there are.",
    "data-nothing-good": "No answer is marked good yet: mark some with :good or a thumb, or leave "
    "out --good-only.",
    "data-nothing-answered": "There is no conversation with a whole answer to train on: chat "
    "first, or mark a cut answer as good.",
    "data-good-only": "--good-only is for training data: add --format, one of {formats}.",
    "data-needs-json": "Training data goes into a .json file, which {path} is not: choose such a "
    "name.",
    "chat-unknown": "There is no such conversation: it may have been deleted. Choose another "
    "one of the list.",
    "compact-nothing": "There is nothing to sum up yet: the newest turn always stays as it is.",
    "compact-empty": "The model gave no summary, so nothing has changed: try again, or begin "
    "a new conversation.",
    "turns-left-out": "The conversation no longer fits into the model's context: left out of the "
    "prompt, oldest turns: {count}. They stay in the conversation.",
    "progress-downloading": "downloading",
    "progress-files": "{done}/{total} files",
    "progress-left": "{time} left",
    "progress-loading": "loading the model",
    "progress-converting": "converting the weights (once)",
    "progress-queued": "waiting: place {done} in line",
    "progress-reading": "reading",
    "progress-writing": "writing",
    "stats": "{completion} {completion:token|tokens}",
    "stats-speed": "{speed:.1f} tokens/s",
    "stats-first": "first after {seconds:.2f} s",
    "stats-reused": "read {read}, reused {reused}",
    "stats-context-full": "cut: the context is full",
    "stats-context": "context {used} / {context}",
    "stats-seed": "seed {seed}",
    "stats-stopped": "stopped",
    "stats-length": "cut at max_new_tokens",
    # --- terminal
    "terminal-hint": "Type a message and press Enter. :help lists the commands, Ctrl-C stops an "
    "answer, Ctrl-D leaves.",
    "terminal-keys": "Alt-Enter or Ctrl-J begins a new line, Tab completes, the up arrow brings "
    "back what was typed, Ctrl-X Ctrl-E opens the editor. A message that begins with a colon is "
    "sent with two (::).",
    "terminal-leave": "Press Ctrl-C again, or Ctrl-D, to leave.",
    "terminal-not-loaded": "The model could not be loaded: {cause}. Check its files, "
    "or try another --engine.",
    "terminal-unexpected": "Something went wrong that should not have: {cause}. The conversation "
    "is kept; go on, or ask again.",
    "terminal-no-history": "What you type will not be remembered for the next time: {cause}.",
    "terminal-type-prompt": "Type the message, then press Enter and Ctrl-D.",
    "terminal-empty-prompt": "There is nothing to answer: the message is empty. "
    "Give one with -p, or pipe one in.",
    "command-unknown": "There is no command :{name}; :help lists them. To send a message that "
    "begins with a colon, type two (::).",
    "command-unknown-close": "There is no command :{name}; did you mean :{meant}? To send a "
    "message that begins with a colon, type two (::).",
    "command-misused": "It is used as {usage}.",
    "help-program": "The program",
    "help-answers": "What was said",
    "help-conversations": "Conversations",
    "help-settings": "Settings",
    "new-begun": "A new conversation begins, with the same settings and system prompt. The one "
    "before, turns: {count}, stays stored; :resume goes on with it.",
    "new-begun-private": "A new conversation begins, with the same settings and system prompt; "
    "turns taken off: {count}.",
    "private-begun": "Nothing of this chat is stored.",
    "private-no-store": "This chat is private, and stored conversations stay out of it: start "
    "without --private to have them.",
    "store-again": "What is said is stored again.",
    "list-empty": "No conversation is stored yet.",
    "list-none": "No title has these words; :search looks into the texts, too.",
    "list-turns": "{count} {count:turn|turns}",
    "list-more": "These are the first {count}; :sessions {next} shows more. :resume N goes on "
    "with one.",
    "list-resume": ":resume N goes on with one.",
    "age-now": "just now",
    "age-minutes": "{count} min ago",
    "age-hours": "{count} h ago",
    "age-days": "{count} d ago",
    "search-what": "Say which words to search for: :search WORDS.",
    "search-none": "Nothing that was said has {words}.",
    "resume-nothing": "There is no other conversation to go on with yet.",
    "resume-unknown": "No stored conversation goes by {asked}; :sessions lists them.",
    "resume-several": "Several fit; :resume N goes on with one of them.",
    "resume-ambiguous": "Several conversations fit {asked}: use more of the title. "
    "There are: {titles}.",
    "resumed": "Going on with: {title} ({count} {count:turn|turns})",
    "found-elsewhere": "The words are in turn {turn} of another version than the conversation had "
    "last; it goes on from there now, and :versions has both.",
    "found-earlier": "The words are in turn {turn}; :history shows it.",
    "resumed-interrupted": "The last answer was interrupted; :continue goes on with it.",
    "resumed-unanswered": "The last question has no answer yet; :regen asks it again.",
    "title-changed": "The conversation has a new title.",
    "title-now": "The title is: {title}",
    "title-none": "There is no title yet: it will be the first line of the first question.",
    "delete-nothing": "There is nothing to delete: this conversation is not stored.",
    "deleted": "Deleted: {title} (:undelete brings it back).",
    "undelete-nothing": "Nothing was deleted since the program began.",
    "undeleted": "It is back: {title}",
    "forked": "This is a copy now ({count} {count:turn|turns}); the conversation it was made of "
    "stays as it is.",
    "fork-private": "A private chat is not stored, so nothing would be left of it beside the copy: "
    "take turns back with :undo instead, and :versions goes back to them.",
    "fork-title": "{title} (copy)",
    "export-nothing": "There is nothing to export yet: ask a question first.",
    "export-kind": "{path} says no format: end its name in .md for Markdown, or in .json for all "
    "there is.",
    "exported": "Written: {path}",
    "imported": "Stored from {name}, conversations: {count}.",
    "compact-stopped": "Stopped: the conversation is as it was.",
    "compacted": "The oldest turns stand in prompts as this summary: {before} tokens have become "
    "{after}. The turns themselves stay stored.",
    "context-will-leave-out": "The next question will leave out of the prompt, oldest turns: "
    "{count}. :compact sums them up instead.",
    "context-nearly-full": "The context is {share} % full; :compact sums up the oldest turns "
    "before any are left out.",
    "meter-private": "private",
    "meter-tokens": "{used} tokens",
    "meter-context": "{used} / {context} tokens ({share} %)",
    "versions-none": "There is no other version yet: :regen and :edit make them.",
    "versions-no-such": "There is no version {number}: :versions lists them, 1 to {count}.",
    "versions-answer": "Answers to question {turn}:",
    "versions-question": "Questions in place {turn}, each with what followed:",
    "versions-undone": "Taken back, after the end of the conversation:",
    "versions-after": "messages after it: {count}",
    "versions-choose": ":versions N goes back to one; * is where the conversation is.",
    "question-none": "There is no question yet: ask one first.",
    "question-no-such": "There is no question {number}; the last one is {count}.",
    "edit-no-answer": "This question has no answer to edit: :regen has it answered.",
    "edit-empty": "The text was empty: nothing is asked, and nothing was changed.",
    "edit-unchanged": "Nothing was changed, and nothing is asked.",
    "edit-answered": "The answer is as you wrote it; ask on, or let :continue go on from there. "
    "The model's own stays under :versions.",
    "editor-none": "There is no editor: set the variable EDITOR to the name of yours.",
    "editor-failed": "The editor {editor} failed ({cause}), and nothing is asked: set the variable "
    "EDITOR to one that works.",
    "continue-nothing": "There is no answer to go on with: ask a question first.",
    "continue-complete": "The last answer is complete; ask on, or :regen answers again.",
    "judge-nothing": "There is no answer to judge yet: ask a question first.",
    "judged-good": "Marked as good.",
    "judged-bad": "Marked as bad.",
    "others-writing": "Elsewhere an answer to this is being written; it will appear here.",
    "others-continued": "Elsewhere this answer was gone on with:",
    "others-branched": "Elsewhere the conversation took another branch, and goes on with it; "
    ":versions has both.",
    "others-version": "Elsewhere something else was said in the same place; :versions has both.",
    "others-undone": "Taken back elsewhere: {question}",
    "conf-setting": "setting",
    "conf-value": "value",
    "conf-default": "model's default",
    "conf-changed": "changed",
    "conf-reset": "The settings are those of the start again.",
    "seed-now": "The chat's base seed is {seed}.",
    "seed-of-answer": "The last answer's own seed was {seed}.",
    "history-empty": "The conversation is empty so far.",
    "history-earlier": "Earlier turns: {count} (:history shows them).",
    "history-summed-up": "What is above stands in prompts as a summary.",
    "mark-writing": "being written elsewhere",
    "mark-interrupted": "interrupted",
    "mark-good": "good",
    "mark-bad": "bad",
    "version-of": "version {number} of {count}",
    "system-now": "The system prompt is:",
    "system-none": "There is no system prompt.",
    "system-changed": "It counts from the next answer on.",
    "undo-done": "Taken back, with its answer: {question}",
    "undo-several": "Taken back, {count} turns, from this question on: {question}",
    "undo-all": "Taken back, all there was ({count} {count:turn|turns}), from this question on: "
    "{question}",
    "undo-nothing": "There is no question to take back.",
    "regen-nothing": "There is no question to answer again.",
    "regen-no-seed": "The last answer has no seed to repeat, because it did not come to its end. "
    "Answer again with :regen.",
    "info-model": "model",
    "info-engine": "engine",
    "info-context": "context",
    "info-context-unknown": "unknown",
    "info-used": "used so far",
    "info-tokens": "{count} tokens",
    "info-conversation": "conversation",
    "info-private": "private, not stored",
    "info-stored": "stored in",
    "info-device": "device",
    "info-dtype": "number format",
    "info-memory": "memory",
}
