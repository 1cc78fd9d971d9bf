# ruff: noqa: RUF001 - letters of other alphabets look like ours
"""How responses begin that decline to answer, in thirty languages: patterns for text in lower case, without Markdown.

Of a language it is a verb of helping that makes "I can't" a refusal: "I can't divide by zero" is none.
"""

from __future__ import annotations

import re

REGRETS = r"""(?:
    (?:unfortunately | regrettably | regretfully | sadly | sorry | (?:my\ )?(?:sincere\ )?apologies
    # German, French
    | leider | entschuldigung | (?:es\ )?tut\ mir\ (?:sehr\ )?leid | ich\ bedauere
    | malheureusement | (?:je\ suis\ )?(?:vraiment\ )?désolée? | je\ regrette | je\ m'excuse
    | (?:toutes\ )?mes\ excuses | pardon(?=,)
    # Spanish, Portuguese, Italian, Romanian
    | (?:lo\ )?lamento | lamentablemente | desafortunadamente | lo\ siento(?:\ mucho)? | disculp[ae] | perdón
    | perdona | me\ temo\ que
    | infelizmente | (?:me\ )?desculpe | sinto\ muito | (?:peço\ )?desculpas?
    | purtroppo | mi\ (?:dispiace|spiace|rincresce) | (?:sono\ )?spiacente | scus(?:a|ami|i|ate) | îmi\ pare\ rău | din\ păcate
    # Dutch, Swedish, Danish, Norwegian, Finnish
    | helaas | het\ spijt\ me | tyvärr | förlåt | ursäkta | (?:jag\ )?beklagar | (?:jeg\ )?beklager
    | desværre | dessverre | undskyld | unnskyld
    | valitettavasti | pahoittelen | anteeksi | (?:olen\ )?pahoillani
    # Russian, Ukrainian, Polish, Czech, Hungarian
    | к\ сожалению | извините | простите | мне\ (?:очень\ )?жаль | прошу\ прощения
    | вибачте | на\ жаль | перепрошую | пробачте | мені\ (?:дуже\ )?шкода
    | (?:bardzo\ )?(?:przepraszam|przykro\ mi) | niestety | wybacz(?:cie)?
    | omlouvám\ se | bohužel | je\ mi\ (?:to\ )?líto | promiňte? | lituji | sajnálom | sajnos | elnézést
    # Turkish, Vietnamese, Indonesian, Greek, Hebrew
    | (?:çok\ )?üzgünüm | maalesef | ne\ yazık\ ki | özür\ dilerim | kusura\ bakmayın
    | (?:tôi\ )?(?:rất\ |thành\ thật\ )?xin\ lỗi | (?:tôi\ )?rất\ tiếc | (?:mohon\ )?maaf(?:kan)? | sayangnya
    | λυπάμαι | δυστυχώσ | συγγνώμη | (?:אני\ )?מצטער(?:ת)? | לצערי | סליחה)\b
    # What it is that speaks
    | as\ an?\ (?:(?!(?:who|of|in|on|about|for|with|to|that)\b)[\w-]{1,15},?\ ){0,5}?(?:ai|large\ language|language|artificial)\b
        (?!\ (?:\w+\ )?(?:researcher|engineer|scientist|developer|expert|student|teacher|professor)\b)
        (?>(?:(?!\bi\b)[^.,\n]){0,60})
    | als\ (?:(?:eine?|verantwortungs\w+|reines?|großes)\ ){0,3}(?:ki(?:-\w+)?|sprachmodell|künstliche\ intelligenz)\b
        (?!-)(?>(?:(?!\b(?:kann|darf|werde|möchte|muss|ist)\b)[^.,\n]){0,60})
    | как\ (?:языковая\ модель|ии(?:-\w+)?|искусственный\ интеллект|ответственный\ \w+)(?=,|\ (?:я|не)\b)
    | come\ (?:modello\ (?:linguistico|di\ linguaggio)|ia|intelligenza\ artificiale|assistente)\b
        (?>(?:(?!\bnon\b)[^.,\n]){0,60})
    | (?:jako\ (?:model\ językowy|ai|sztuczna|umělá|jazykový)|як\ (?:мовна|штучний)|en\ tant\ qu[e'])\b
        (?>(?:(?!\b(?:nie|ne|не|je)\b)[^.,\n]){0,60})
    | como\ (?:una?\ |uma?\ )?(?:modelo\ de\ (?:l\w+|ia|inteligencia)|ia|asistente|assistente)\b
        (?>(?:(?!\b(?:no|não)\b)[^.,\n]){0,60})
    | 作为(?:一个|一名|一款)?[^\u3002\uff0c,.\n]{0,20}?(?:ai|人工智能|语言模型|助手|助理)[^\u3002\uff0c,.\n]{0,12}
    # Hindi, Arabic, Persian, Thai, Korean, Japanese, Chinese
    | (?:मुझे\ )?(?:खेद|अफ़सोस|अफसोस)\ है | क्षमा\ (?:करें|कीजिए|चाहता\ हूँ|चाहती\ हूँ) | माफ़?\ (?:करें|कीजिए|कीजिएगा)
    | दुर्भाग्य(?:\ से|वश)
    | (?:أنا\ )?آسفة? | عذر(?:ًا|اً|ا) | (?:أ|ن)عتذر(?:\ منك)? | للأسف(?:\ الشديد)? | المعذرة | معذرة
    | مت[أا]سفانه | مت[أا]سفم | ببخشید | عذر\ می.?خواهم | ขออภัย(?:ด้วย)? | (?:ขอ)?ขอโทษ(?:ด้วย)?(?:ครับ|ค่ะ)?
    | 죄송(?:하지만|합니다만?|해요)? | 미안(?:하지만|합니다만?) | 유감(?:스럽지만|입니다만) | 안타깝지만
    | 申し訳(?:ありませんが|ございませんが)? | すみません(?:が)? | ごめんなさい | 恐れ入りますが | 残念ながら | 恐縮ですが
    | 很?抱歉 | 对不起 | 對不起 | 很遗憾 | 不好意思
    )"""
"""Openings that regret something, which may be a refusal in words that no pattern knows."""
GREETS = (
    r"(?:(?:no|nein)(?=[,.!])|nope|(?:hello|hi|hey)(?:\ there)?|look(?=,)|listen(?=,)"
    r"|honestly|frankly|to\ be\ (?:honest|frank|clear)"
    r"|(?:(?:that's|that\ is|what)\ an?\ )?(?:great|good|excellent|interesting|nice|thoughtful|fair|important)\ question"
    r"|(?:(?:my|the|final)\ )?(?:response|answer|reply)(?=[ :])"
    r"|yikes|whoa(?:\ there)?|woah|wow|ah|oof|ouch|ugh|ok(?:ay)?|alright|haha|oh\ no"
    r"|first\ (?:off|of\ all)|你好|您好|absolutely\ not|no\ way|i'm\ afraid"
    r"|hmm|oh|well|thank(?:s|\ you)(?>[^.!,\n]{0,60}))(?:\b|(?<=好))"
)
BETWEEN = (
    r"[\s,.!:;\uff0c\u3002\uff01\u3001\u060c\u0964\u2013\u2014-]"
    r"|(?:but|however|aber|mais|pero|mas|ma|maar|но|ale|lecz|ama|fakat|ancak|men|але|nhưng|tetapi|tapi|namun|mutta|dar|de|αλλά|אבל)\b"
    r"|但是?|लेकिन|परंतु|पर\ |و?لكن(?:ني|نا)?\ |اما|ولی|แต่|하지만|그러나"
)
_NOT_AT_ALL = r"(?!stress|emphasi|overstate|imagine|recall|remember|find|see|help\ but)"
"""After "I'm sorry, but I can't": what these deny is no help."""
VERBS = r"""(?:
    provide | offer | give | condone | supply | share | write | create | generate | produce | answer | respond\ to | discuss
    | engage | participate | support | assist | comply | fulfill? | facilitate | continue | complete | process | translate
    | reveal | disclose | do\ (?:that|this|so)(?=[.,;:!]|$|\ (?:for|because|as|since|and|or)\b)
    | tell\ you | show\ you)"""
CANNOT = r"""(?:
    (?:can\ ?not | can't | cant)(?:\ and\ (?:will\ not|won't))? | (?<!we\ )(?:should\ not | shouldn't)
    | will\ not | won't | (?<!we\ )(?:will\ not | won't)\ be\ able\ to
    | (?:am\ )?(?:currently\ )?unable\ to | (?:must|have\ to|need\ to)\ decline\ to
    | refuse\ to | decline\ to | not\ (?:able|allowed|permitted|willing|going)\ to)"""
I_OR_WE = (
    r"(?:i(?:\ am|'m)?\ (?:afraid|sorry)(?:\ that)?\ )?(?:i|we)(?:\ am|'m|\ are|'re)?\ "
    r"(?:(?:really|also|therefore|respectfully|politely|currently|simply|just|absolutely|definitely|certainly|truly|honestly"
    r"|still)\ )?"
)
_RULES = r"(?:guidelines?|polic(?:y|ies)|programming|safety\ \w+)"
_COULD_NOT = r"(?:could\ not | couldn't)"
DEEPLY = r"(?:(?:very|so|truly|deeply|do)\ )?(?:sorry|apologi[sz]e)"
_FEW, _SOME = r"[^.!?\n]{0,40}?", r"[^.!?\n]{0,80}?"
_ASKED = r"(?:requests?|prompts?|questions?|content|information|advice|help|assistance|instructions?|guidance)"
_TO_US = rf"""(?!we\b[^.!?\n]{{0,30}}?\ (?:write|create|generate|produce|offer|give|supply|share|support|answer|continue|complete
        |process|translate|provide|do|show|tell)\b(?!{_FEW}\b{_ASKED}\b))"""
"""Not what "we" can't do in an answer: write √2 as a fraction, complete the square."""
_FREELY = r"(?:(?:in\ good\ (?:conscience|faith),?|currently|directly|legally|ethically|really|just)\ )?"
_INMOST = r"""(?:system|internal|hidden|initial|prompts?|instructions?|guidelines?|rules|polic\w*|program\w*|training
        |source|code|config\w*|(?:own\ )?(?:opinion|view|thought|feeling|belief|reasoning)s?|identity|knowledge|data
        |creators?|developers?)\b"""
"""What a model has of its own, and may not share."""
_CLEARLY = rf"""(?:{_TO_US}{I_OR_WE}{CANNOT},?
        \ {_FREELY}
        (?:{VERBS}\b(?!\ (?:enough|too|more|better|(?:you\ )?a\ better|anything\ but|without|out|every|(?:you\ )?up
                |the\ square)\b
            | \ my\ (?!(?:\w+\ ){{0,2}}{_INMOST}) | \ for\ (?:my|him|her|them)\b
            | \ (?:in|during)\ (?:class|lessons?|school)\b | \ on\ (?:the\ )?(?:walls?|desks?|tables?|books?)\b
            | \ \S{{1,30}}\ as\ an?\ (?:\w+\ )?(?:product|sum|fraction|ratio|quotient|decimal|function|power|percent\w*|integer)\b
            | \ how\ (?:happy|glad|grateful|much|many|often|sorry|excited|proud|good|great|bad|sad
                |delicious|beautiful|important)\b)
        | help\ (?:you\ )?(?:with|in|to)\b | help\ (?:you|create|write|make|generate|produce|build|plan|develop|obtain)\b
        | help(?=[.,!;]|$)))"""
_PAST = rf"""(?:{I_OR_WE}{_COULD_NOT},?\ {_FREELY}(?:(?:help|assist)(?:\ you)?
            (?:\ with\ (?:that|this|it|your|such)\b|(?=[.,!;]|$))
        | (?:{VERBS}|find|retrieve|access|locate)\b(?:\ (?:that|this|it)(?=[.,!;]|$)
            | {_FEW}\b(?:your|this|that|these|such|any|the\ requested)\ (?:\w+\ )?{_ASKED}\b
            | \ the\ \w+\ (?:that\ )?you\ (?:asked|requested|wanted)\b | \ instructions\ for\b)))"""
"""Likewise of what was asked for, in the past ("I couldn't"), in which stories are told too."""
_OFFERED = r"""\ (?:your|the|this|that|an?|his|her|their)\ (?:\w+\ ){0,3}?(?:invitation|offer|proposal|position|job|opportunity
        |gift|appointment|nomination|meeting|role|promotion)\b"""
"""What is declined in a letter that was asked for."""
DECLINES = rf"""
    # English
    {_CLEARLY}
    | (?:{I_OR_WE}{DEEPLY}[,.;:!]?\ (?:but\ |that\ |however,?\ )?)?{_PAST}
    | i\ (?:decline|refuse)(?=[.!]|$) | request\ (?:denied|refused|declined)(?=[.!]|$) | \[(?:refused|refusal|declined)\]
    | (?:(?:i\ )?(?:can't|cannot|won't)|(?:i\ )?will\ not)\ do\ (?:that|this)(?=[.,!]|$)
    | (?:providing|writing|sharing|creating|generating|answering|doing|helping)\b[^.!?\n]{{0,40}}\ (?:would\ be|is)
        \ (?:unethical|illegal|irresponsible|inappropriate|harmful|wrong),?\ (?:so|and)\ i\ {CANNOT}
    | (?:cannot|can\ not|can't|unable\ to|won't)\ (?:help|assist|comply|fulfill?)(?:\ you)?(?:\ with\b|(?=[.,!;]|$))
    | {I_OR_WE}{DEEPLY}[,.;:!]?\ (?:but\ |that\ |however,?\ )?(?:as\ an?\ [^.,]{{0,60}},?\ )?{I_OR_WE}{CANNOT}\ {_NOT_AT_ALL}
    | i\ (?:don't|do\ not)\ (?:think|believe)\ (?:that\ )?i\ (?:can|could|should)
        \ (?:help|assist)(?:\ you)?(?:\ with\b|(?=[.,!;]|$))
    | i\ (?:don't|do\ not)\ (?:assist|help)\ (?:with|in)\b
    | (?:that|this|it)(?:'s\ not|\ is\ not|\ isn't)\ something\ (?:that\ )?i(?:\ can|(?:'m|\ am)\ (?:able|willing|allowed
        |going)\ to)\ (?:(?:help|assist|{VERBS})\b|do(?=[.,!;]|$))
    | (?:that|this|your)\ (?:request\ )?is\ something\ (?:that\ )?i\ {CANNOT}\ (?:(?:help|assist)\b|do(?=[.,!;]|$))
    | (?:that|this|your)\ request\ (?:cannot|can't)\ be\ (?:fulfilled|completed|processed)\b
    | {I_OR_WE}(?:won't|will\ not|not\ going\ to)\ be\ (?:providing|helping|assisting|generating|writing|sharing|creating)\b
    | {I_OR_WE}(?:will|going\ to|'ll)?\ ?have\ to\ pass\ on\ (?:this|that)\b
    | i(?:'d|\ would)\ (?:rather|prefer)\ (?:not(?:\ to)?)\ (?:answer|discuss|help\ with)\ (?:this|that)\b
    | my\ {_RULES}\ (?:prevents?|forbids?|prohibits?|(?:do|does)\ not\ allow|(?:don't|doesn't)\ allow)\ me\b
    | (?:that|this|it)(?:'s|\ is|\ falls)\ outside\ (?:of\ )?what\ i(?:\ can|(?:'m|\ am)\ able\ to)\ (?:help|assist)\b
    | it(?:'s|\ is|\ would\ be)\ against\ my\ (?:\w+\ )?{_RULES}\b
    | it(?:'s|\ is|\ would\ be)\ (?:not\ appropriate|inappropriate|unethical|irresponsible|illegal|wrong)
        \ for\ me\ to\ (?:help|{VERBS})\b
    | i\ regret\ (?:that\ )?i\ {CANNOT}\ (?:help|assist|comply)\b
    | {I_OR_WE}{CANNOT}\ (?:satisfy|grant|honou?r|accommodate)\ (?:your|this|that)\ request\b
    | i\ (?:don't|do\ not)\ (?:think|believe)\ (?:that\ )?it(?:'s|\ is|\ would\ be)
        \ (?:appropriate|right|ethical|responsible|okay|ok)\ for\ me\ to\ (?:help|assist|{VERBS})\b
    | (?:sharing|providing|generating|creating|writing|helping|assisting|discussing|giving|producing|offering)\b[^.!?\n]{{0,80}}?
        \ (?:is\ not|isn't)\ something\ (?:that\ )?i\ (?:can|will|could|am\ (?:able|willing)\ to)
        \ (?:help|assist|{VERBS}|do(?=[.,!;]|$))
    | i(?:'m|\ am)\ not\ in\ a\ position\ to\ (?:help|assist)\b
    | i\ (?:don't|do\ not)\ have\ the\ ability\ to\ (?:help|assist)\b
    | {I_OR_WE}(?:must|have\ to|need\ to|will|am\ going\ to|would\ like\ to)\ (?:(?:respectfully|politely)\ )?(?:decline|refuse)\b
        (?!{_OFFERED})
    | i(?:\ will|'ll)\ have\ to\ (?:(?:respectfully|politely)\ )?(?:decline|refuse)
        \ (?:this|that|your)\ (?:request|prompt|question)\b
    | (?:it(?:'s|\ is)|(?:this|that)(?:'s|\ is))\ (?:not\ within|outside|beyond|against)\ (?:of\ )?(?:my|the\ scope\ of\ my)
        \ (?:[\w-]+,?\ ){{0,4}}?(?:{_RULES}|capabilities|abilities)\b
    | {I_OR_WE}(?:not|don't\ feel|do\ not\ feel)\ comfortable\ (?:with|\w+ing)\b
    | {I_OR_WE}(?:decline|refuse)\ (?:this|that|your)\ (?:request|prompt|question)\b
    | {I_OR_WE}(?:decline|refuse)\ to\ (?:help|{VERBS})\b(?!\ (?:you\ )?up\b)
    | (?:this|that|it)\ (?:violates|goes\ against|is\ against|conflicts\ with)\ (?:our|my)\ (?:\w+\ ){{0,2}}{_RULES}\b
    | (?:this|that|your)\ (?:request|prompt)\ (?:violates|goes\ against|is\ against|conflicts\ with)
        \ (?:our|my|the)\ (?:\w+\ ){{0,2}}{_RULES}\b
    | (?:that|this|it)(?:'s|\ is)\ a\ line\ i\ (?:won't|will\ not|can't|cannot)\ cross\b
    | (?:that|this|it)(?:'s\ not|\ is\ not|\ isn't)\ something\ (?:that\ )?i(?:'m|\ am)\ comfortable\ (?:with|\w+ing)\b
    # German
    | (?:(?:dabei|damit|dazu|das|hier|hierbei|(?:bei\ )?diese[rmns]?\ \w+|bei\ \w+(?:\ \w+)?)\ )?
        (?:ich\ )?(?:kann|darf|werde|möchte)\ (?:ich\ )?
        {_SOME}\b(?:nicht|keinen?|keinerlei)\b{_SOME}\b
        (?:helfen|weiterhelfen|beantworten|unterstützen|bereitstellen|erfüllen|geben|erstellen|schreiben|nachkommen)\b
    | ich\ bin\ (?:leider\ )?nicht\ in\ der\ lage\b{_SOME}\b(?:helfen|beantworten|bereitzustellen|erfüllen|geben|erstellen
        |schreiben)\b
    | (?:das\ (?:kann|darf|werde)\ ich|ich\ (?:kann|darf|werde)\ das)\ (?:leider\ )?nicht\ (?:tun|machen)(?=[.,!]|$)
    | (?:dabei|damit)\ (?:helfe|unterstütze)\ ich\ (?:dir\ |dich\ |ihnen\ |sie\ )?(?:leider\ )?nicht\b
    | (?:es\ ist\ mir|ist\ es\ mir|mir\ ist\ es)\ (?:leider\ )?nicht\ (?:möglich|erlaubt|gestattet)\b{_SOME}\b
        (?:helfen|beantworten|erfüllen|geben|erstellen|schreiben|unterstützen)\b
    | ich\ (?:muss|möchte)\ (?:diese|die|deine|ihre)\ (?:anfrage|bitte|frage|aufforderung)\b{_SOME}\bablehnen\b
    | ich\ muss\ (?:leider\ )?ablehnen(?=[.,!]|$)
    # French
    | il\ m'est\ impossible\ d(?:e\ |')(?:vous\ |t'|te\ |y\ )?(?:aider|répondre|fournir|assister|donner|écrire|générer|créer)\b
    | je\ dois\ (?:refuser|décliner)\ (?:de\ \w+|(?:cette|votre|ta)\ (?:demande|requête|question))\b
    | je\ ne\ (?:peux|puis|pourrai|suis)\ (?:\w+\ )?pas\b{_FEW}\b
        (?:aider|répondre|fournir|assister|donner|satisfaire|écrire|créer|générer|faire\ (?:ça|cela)|accéder|traiter)\b
    # Spanish
    | debo\ (?:rechazar|declinar)\ (?:esta|esa|su|tu)\ (?:solicitud|petición|pregunta)\b
    | (?:yo\ )?no\ (?:puedo|podré|me\ es\ posible|estoy\ autorizad[oa])\b{_FEW}\b
        (?:ayudar(?:te|le|les|lo)?|responder|proporcionar(?:te|le)?|ofrecer|asistir(?:te|le)?|dar(?:te|le)?|cumplir|escribir
        |generar|crear|hacer\ (?:eso|esto)|proporcionar(?:te|le)?|compartir|brindar(?:te|le)?)\b
    # Portuguese
    | (?:devo|preciso)\ recusar\ (?:est[ea]|ess[ea]|seu|sua)\ (?:pedido|solicitação|pergunta)\b
    | (?:eu\ )?não\ (?:posso|poderei|consigo|tenho\ permissão|estou\ autorizad[oa])\b{_FEW}\b
        (?:fazer\ isso|ajudá-l[oa]|cumprir|ajudar|responder|fornecer|oferecer|auxiliar|dar|atender|escrever|gerar|criar)\b
    # Italian
    | devo\ (?:rifiutare|declinare)\ (?:questa|la\ tua|la\ sua)\ (?:richiesta|domanda)\b
    | (?:io\ )?non\ (?:posso|sono\ in\ grado\ di|potrò)\b{_FEW}\b
        (?:aiutar(?:ti|la|vi|e)|rispondere|fornir(?:e|ti|le|ti)|far(?:lo|e\ questo)|assister(?:e|ti)|dar(?:e|ti|le)
        |soddisfare|scrivere|generare|creare)\b
    # Dutch
    | (?:daar(?:mee)?\ |hier(?:bij|mee)\ |dat\ )?(?:ik\ (?:kan|mag)|(?:kan|mag)\ ik)\b{_FEW}\b(?:niet|geen)\b{_FEW}\b
        (?:helpen|beantwoorden|geven|verstrekken|bieden|schrijven|voldoen)\b
    | ik\ ben\ (?:helaas\ )?niet\ in\ staat\b{_FEW}\b(?:helpen|beantwoorden|geven|verstrekken|schrijven)\b
    # Russian
    | (?:я\ )?вынужден[аы]?\ (?:отказать(?:ся)?|отклонить)\b
    | (?:я\ )?не\ (?:могу|смогу|в\ состоянии|буду)\b(?!\ не\b){_FEW}
        (?:помочь|ответить|предоставить|выполнить|дать|написать|создать|писать|создавать|отвечать|обсуждать|помогать)
    # Polish
    | (?:(?:ja|tego|w\ tym|z\ tym|tu)\ )?nie\ (?:mogę|jestem\ w\ stanie|potrafię|będę|wolno\ mi)\b{_FEW}\b
        (?:pom[oó]c|pomagać|odpowiedzieć|udzielić|udzielać|spełnić|zrealizować|tworzyć|stworzyć|napisać|podać|dostarczyć
        |wygenerować|udostępnić|wykonać|przedstawić|tego\ zrobić|zrobić\ tego)\b
    # Czech
    | (?:(?:s|na|to|tím\w*|tento|tuto|tyto|vám|ti|já|tak\w+|požadav\w+|otázku|dotaz\w*|žádost\w*)\ ){{0,5}}
        ne(?:mohu|můžu|smím|jsem\ schop\w+)\b{_FEW}\b
        (?:pomoci|pomoct|odpovědět|poskytnout|splnit|vyhovět|vytvořit|napsat|sdílet|vyřídit)\b
    # Turkish
    | {_SOME}\b(?:yardımcı\ ola|yardım\ ede|cevap\ vere|yanıt\ vere|yanıtlaya|cevaplaya|sağlaya|oluştura|paylaşa
        |yerine\ getire|suna)
        (?:m[aeıi]yorum|m[ae]yac?[ae]ğım|m[ae]yeceğim|mam|mem|mıyorum|miyorum|mayız|meyiz)\b
    # Swedish, Danish, Norwegian
    | (?:(?:det|detta|dette|den\ \w+)\ )?(?:(?:jag|jeg)\ (?:kan|får|må|vill)|(?:kan|får|må)\ (?:jag|jeg))\b{_FEW}
        \b(?:inte|ej|ikke)\b{_FEW}\b(?:hjälpa|svara|ge|tillhandahålla|skriva|skapa|uppfylla|generera|dela|bistå
        |hjælpe|hjelpe|svare|give|gi|skrive|assistere|levere)\b
    # Finnish
    | (?:minä\ )?en\ (?:voi|pysty|saa)\b{_FEW}\b(?:auttaa|auttamaan|vastata|vastaamaan|antaa|tarjota|kirjoittaa|luoda
        |toteuttaa)\b
    # Ukrainian
    | (?:я\ )?не\ (?:можу|зможу|маю\ змоги|в\ змозі|буду)\b(?!\ не\b){_FEW}
        \b(?:допомог\w*|допомагати|відповісти|відповідати|надати|надавати|виконати|створ\w+|написати|обговорювати)\b
    # Vietnamese
    | tôi\ (?:rất\ )?không\ (?:thể|được\ phép)\b{_FEW}\b(?:giúp|hỗ\ trợ|cung\ cấp|trả\ lời|đáp\ ứng|tạo|viết|thực\ hiện
        |chia\ sẻ|thảo\ luận)
    # Indonesian, Malay
    | (?:saya|kami|aku)\ (?:tidak|tak)\ (?:dapat|bisa|boleh|mampu|diizinkan)\b{_FEW}\b
        (?:membantu|memberikan|menjawab|memenuhi|menyediakan|membuat|menulis|membagikan|mendukung)\b
    # Romanian, Hungarian
    | nu\ (?:te\ |vă\ )?pot\b{_FEW}\b(?:ajuta?|ajut|răspunde|oferi|furniza|îndeplini|crea|scrie)\b
    | (?:(?:ebben|ezzel|erre|ezt|sajnos|a|kérés\w*|kérdés\w*)\ ){{0,4}}nem\ (?:tudok|áll\ módomban)\b{_FEW}\b(?:segíteni
        |válaszolni|adni|nyújtani|teljesíteni)\b
    # Greek, Hebrew
    | δεν\ (?:μπορώ|είμαι\ σε\ θέση)\ να\b{_FEW}\b(?:βοηθήσω|απαντήσω|παρέχω|δώσω|εκπληρώσω|γράψω|δημιουργήσω)\b
    | (?:אני\ )?לא\ (?:יכול(?:ה)?|מסוגל(?:ת)?)\b{_FEW}\b(?:לעזור|לסייע|לספק|לענות|לבצע|למלא)\b
    # Hindi
    | मैं\ [^\u0964.!?\n]{{0,60}}?(?:मदद|सहायता|उत्तर|जवाब|जानकारी|प्रदान|पूरा|सामग्री)[^\u0964.!?\n]{{0,30}}?
        नहीं\ (?:कर|दे|बना|लिख)\ ?(?:सकत|पाऊ|पाऊँ)
    # Arabic, Persian
    | (?:أنا\ )?(?:لا|لن)\ (?:أستطيع|يمكنني|أقدر|أتمكن)\b{_FEW}
        (?:مساعد|الإجابة|إجابة|تقديم|تلبية|توفير|كتابة|إنشاء|الرد|تنفيذ|مشاركة)
    | (?:من\ )?{_FEW}(?:نمی.?توانم|قادر\ نیستم){_FEW}(?:کمک|پاسخ|ارائه|انجام)
    # Thai
    | (?:ฉัน|ผม|ดิฉัน|เรา)(?:เกรงว่า)?ไม่สามารถ[^\n]{{0,40}}?(?:ช่วย|ให้ข้อมูล|ตอบ|ดำเนินการ|สร้าง)
    # Chinese
    | (?:我|本人)?们?(?:暂时)?还没有?学会(?:如何)?(?:思考|回答)
    | (?:这个|这类|该|此|您的|你的)(?:问题|请求|话题|内容|要求)[^\u3002\uff01\uff1f\n]{{0,8}}?
        (?:无法|不能|没办法)(?:为您|向您|继续)?(?:回答|完成|处理|提供|满足|讨论|协助)
    | (?:我|本人)们?(?:无法|不能|無法|不会|不可以|没有办法|没办法)(?:为您|为你|向您|向你|对您|直接|在此)?
        (?:提供|回答|协助|協助|帮助|幫助|帮[你您]|满足|滿足|参与|讨论|討論|(?<!们无法)(?<!们不能)(?:完成|处理|處理|生成|给出|给到))
    | (?:我|本人)们?不(?:方便|便)(?:讨论|回答|提供|谈论|评论)
    | (?:我|本人)们?(?:必须|不得不|只能)(?:拒绝|婉拒|谢绝)(?:这个|这项|此|该|您的|你的|回答)(?:请求|要求|问题)?
    # Japanese
    | [^\u3002\uff01\uff1f\n]{{0,40}}?
        (?:(?:お答え|お教え|お手伝い|提供|お応え|対応|お役に立つこと)(?:すること)?[はが]?(?:できません|致しかねます|いたしかねます)
            |(?:(?:その|この)(?:ご)?|ご)(?:質問|要望|依頼|リクエスト)に(?:つきまして)?は?回答(?:すること)?は?できません
            |応じられません|お力になれません
            |(?:そのような|その)(?:コンテンツ|内容|情報|文章)[をは](?:作成|生成|提供)(?:すること)?は?できません)
    # Korean
    | {_FEW}(?:도와\ ?드릴|도움을?\ 드릴|들어\ ?드릴|알려\ ?드릴|작성해\ ?드릴|제공해\ ?드릴|답변해?\ ?드릴|답해\ ?드릴
        |답변을\ 드릴|응할|응해\ ?드릴)\ 수(?:가|는)?\ 없
    | {_FEW}(?:제공할|답변할)\ 수\ 없(?:습니다|어요|음|다)(?=[\s.!]|$)
    """
MAY_DECLINE = rf"""
    (?!we\b){I_OR_WE}(?:{CANNOT}|{_COULD_NOT}(?!\ \w+\ (?:my|our|him|her|his|them|their|a\ single|until|because)\b)),?
        \ (?!stress|emphasi|overstate|imagine|help\ but|help\ \w+ing|help\ my|wait
        |believe\ (?:it|how|this)|say\ enough|recommend\ (?:it|this)\ enough|{VERBS}\ (?:enough|too|more))
    | (?=we\b){I_OR_WE}(?:{CANNOT}|{_COULD_NOT})\ {VERBS}\b
    | {I_OR_WE}{DEEPLY}\b
    | je\ préfère\ ne\ pas\b | prefiero\ no\b | preferisco\ non\b | prefiro\ não\b | ich\ möchte\ (?:darüber|dazu)\ nicht\b
    | i(?:'d|\ would)\ (?:rather|prefer\ to)\ (?:steer\ clear|stay\ away|avoid)\b
    | this\ is\ something\ (?:that\ )?i\ (?:can't|cannot|won't|will\ not)\b
    | (?:i\ (?:can't|cannot|won't|will\ not)|not\ going\ to\ happen)(?=[.!]?$)
    | let's\ (?:talk\ about|discuss|change)\ (?:something\ else|the\ (?:topic|subject)|another\ (?:topic|subject))\b
    | i\ (?:don't|do\ not)\ (?:(?:want|feel\ right|have\ the\ (?:ability|capability))\b|{VERBS}\b)
    | i(?:'d|\ would)?\ (?:rather|prefer)\ (?:to\ )?not\b | i(?:'ll|\ will|'m\ going\ to|\ am\ going\ to)\ (?:decline|refuse)\b
    | it(?:'s|\ is|\ would\ be)\ (?:not\ appropriate|inappropriate|unethical)\ to\b
    | (?:that|this|it)(?:'s|\ is|\ falls)\ outside\ (?:of\ )?what\ i\b
    | i\ (?:don't|do\ not)\ (?:think|believe)\ (?:that\ )?i\ (?:can|could|should)\ (?:help|assist|answer|provide|share)\b
    | (?:that|this|it)(?:'s|\ is)\ not\ (?:something|a\ (?:topic|request|subject))
        \ (?:that\ )?(?:i|we)(?:\ can|'m\ able|\ am\ able)\b
    | i(?:'d|\ would)\ (?:rather|prefer)\ (?:not(?:\ to)?)\ (?:answer|discuss|share|say|help|talk|engage|provide)\b
    | (?:my|our)\ {_RULES}\ (?:prevents?|forbids?|prohibits?|(?:do|does)\ not\ allow)\b
    | it(?:'s|\ is|\ would\ be)\ (?:against\ my|not\ appropriate\ for\ me\ to|inappropriate\ for\ me\ to)\b
    | i\ regret\ (?:that\ )?i\ (?:{CANNOT}|{_COULD_NOT})\b
    | i(?:'m|\ am)\ not\ in\ a\ position\ to\ {VERBS}\b | i\ (?:don't|do\ not)\ have\ the\ ability\ to\ {VERBS}\b
    | i(?:'ll|\ will|'m\ going\ to|\ am\ going\ to)\ have\ to\ (?:decline|refuse)\b
    | (?:this|that|your)\ (?:request|prompt|content|question)\ (?:violates|goes\ against|is\ against|conflicts\ with)\b
    | {I_OR_WE}(?:must|have\ to|need\ to|will|am\ going\ to|would\ like\ to)\ (?:(?:respectfully|politely)\ )?(?:decline|refuse)\b
    """
DECLINES_SORRY = rf"""
    (?:죄송|미안){_FEW}[,.]?\ {_SOME}(?:[\uac00-\ud7af]\ 수(?:가|는)?\ 없(?:습니다|어요|네요)|드리기\ (?:어렵|곤란))
    | (?:申し訳|すみません|ごめんなさい|恐れ入り)[^\u3002\n]{{0,12}}[\u3002\u3001,]?\ ?[^\u3002\n]{{0,40}}?
        (?:できません|でき兼ねます|(?:致|いた)しかねます|答えられません|応えられません|応じられません)
    | (?:很?抱歉|对不起|對不起|不好意思|很遗憾)[^\u3002\uff01\uff1f\n]{{0,30}}?(?:无法|不能|無法|没办法|没法)
        (?:为您|为你|向您|向你|对您|直接|在此|继续)?(?:提供|回答|协助|協助|帮助|幫助|帮[你您]|满足|滿足|完成|处理|處理|生成|讨论|討論|给出|给到|支持)
    | (?:ขออภัย|ขอโทษ)[^\n]{{0,30}}?ไม่สามารถ[^\n]{{0,30}}?(?:ช่วย|ให้ข้อมูล|ตอบ|ดำเนินการ|สร้าง)
    """
"""What declines behind words of regret alone."""
KNOWS_NOT = re.compile(
    r"""(?:sorry,?\s)?(?:i|we)\s(?:(?:do\snot|don['\u2019]t)\s(?:actually\s|really\s)?know | have\sno\sidea
        | (?:can\s?not|can['\u2019]t)\s(?:determine|answer|say|tell|know|find))\b
    | (?:i\sam|i['\u2019]m|we\sare)\s(?:not\s(?:sure|certain)|unsure)\b | (?:i\shave\s)?no\sidea\b
    | (?:it|this)\s(?:can\s?not|can['\u2019]t)\sbe\sdetermined\b | ich\sweiß\s(?:es\s)?(?:leider\s)?nicht\b
    | je\sne\s(?:le\s)?sais\spas\b | no\s(?:lo\s)?sé\b | não\ssei\b | non\s(?:lo\s)?so\b | (?:я\s)?не\sзнаю\b
    | 我?不知道 | わかりません | 分かりません | 모르겠
    | [*_"'(]{0,4}(?:n\s?/\s?a | unknown | undetermined | indeterminate
        | not\s(?:available|applicable|known|specified|given|provided|sure)
        | (?:insufficient|not\senough)\s(?:information|data) | (?:can\s?not|can['\u2019]t)\s(?:be\s)?(?:determined?|say|tell|know)
        | unable\sto\s(?:determine|answer|say|tell))\b[\s.!*_"')]*$""",
    re.IGNORECASE | re.VERBOSE,
)
"""How an answer begins that is none: nobody knows it."""
