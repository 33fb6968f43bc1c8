extension SampleLanguage {
  static let english = SampleLanguage(
    "en",
    openings: """
      yesterday ,
      according to {O9} ,
      on {D9} ,
      after the talks in {L9} ,
      {P9} said :
      """,
    templates: """
      {P1} visited {L1} on {D1} .
      {P1} joined {O1} in {N1} .
      {O1} opened an office in {L1} .
      ^the {M1} takes place in {L1} this year .
      {P1} and {P2} met in {L1} .
      {C1} beat {C2} {N1} : {N2} .
      {L1} , {D1} ( {O1} ) .
      {P1} , born in {L1} , won the {M1} .
      ^the director of {O1} , {P1} , resigned on {D1} .
      ^prices rose by {N1} percent .
      {O1} bought {O2} for {N1} million .
      ^thousands came to the {M1} in {L1} .
      “ ^we are ready ” , said {P1} .
      {P1} , {P2} , {O1} .
      ^the weather stays cold and dry .
      {P1} works for {O1} in {L1} .
      ^the river near {L1} rose by {N1} metres .
      {O1} will sponsor the {M1} .
      {P1} wrote about {L1} and {L2} .
      ^before the {M1} , {P1} trained in {L1} .
      {O1} denied the report .
      {C1} {N1} , {C2} {N2}
      ^the train from {L1} to {L2} was late .
      ^nobody knew why the lights went out .
      {P1} left {C1} for {C2} .
      {L1} waits .
      {P1} waits .
      ^the fans of {C1} sang for {N1} minutes , but {P1} of {C2} scored .
      """,
    days: "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    organisations: """
      Bank of {L}
      {S} Group
      University of {L}
      {S} & Sons
      {L} Times
      {S} Airlines
      {S}
      """,
    events: """
      {L} Festival
      {S} Prize
      {L} Open
      """)

  static let german = SampleLanguage(
    "de",
    openings: """
      gestern :
      laut {O9} :
      am {D9} :
      nach den Gesprächen in {L9} :
      {P9} sagte :
      """,
    templates: """
      {P1} besuchte am {D1} {L1} .
      {P1} kam {N1} zu {O1} .
      {O1} eröffnete ein Büro in {L1} .
      ^dieses Jahr findet {M1} in {L1} statt .
      {P1} und {P2} trafen sich in {L1} .
      {C1} schlug {C2} {N1} : {N2} .
      {L1} , {D1} ( {O1} ) .
      {P1} , in {L1} geboren , gewann bei {M1} .
      {P1} , Direktor von {O1} , trat am {D1} zurück .
      ^die Preise stiegen um {N1} Prozent .
      {O1} kaufte {O2} für {N1} Millionen .
      ^tausende kamen zu {M1} in {L1} .
      „ ^wir sind bereit “ , sagte {P1} .
      {P1} , {P2} , {O1} .
      ^das Wetter bleibt kalt und trocken .
      {P1} arbeitet für {O1} in {L1} .
      ^der Fluss bei {L1} stieg um {N1} Meter .
      {O1} wird {M1} fördern .
      {P1} schrieb über {L1} und {L2} .
      ^vor {M1} trainierte {P1} in {L1} .
      {O1} bestritt den Bericht .
      {C1} {N1} , {C2} {N2}
      ^der Zug von {L1} nach {L2} war verspätet .
      ^niemand wusste , warum das Licht ausging .
      {P1} verließ {C1} und ging zu {C2} .
      {L1} wartet .
      {P1} wartet .
      ^die Anhänger von {C1} sangen {N1} Minuten lang , doch {P1} von {C2} traf .
      """,
    days: "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    organisations: """
      Bank von {L}
      {S} Gruppe
      Universität {L}
      {S} & Söhne
      {L} Zeitung
      {S} Airlines
      {S}
      """,
    events: """
      {L} Festspiele
      {S} Preis
      {L} Open
      """)

  static let spanish = SampleLanguage(
    "es",
    openings: """
      ayer ,
      según {O9} ,
      el {D9} ,
      tras las conversaciones en {L9} ,
      {P9} dijo :
      """,
    templates: """
      {P1} visitó {L1} el {D1} .
      {P1} llegó a {O1} en {N1} .
      {O1} abrió una oficina en {L1} .
      ^este año {M1} se celebra en {L1} .
      {P1} y {P2} se reunieron en {L1} .
      {C1} venció a {C2} {N1} : {N2} .
      {L1} , {D1} ( {O1} ) .
      {P1} , de {L1} , ganó en {M1} .
      {P1} , al frente de {O1} , dimitió el {D1} .
      ^los precios subieron un {N1} por ciento .
      {O1} compró {O2} por {N1} millones .
      ^miles de personas acudieron a {M1} en {L1} .
      « ^estamos preparados » , dijo {P1} .
      {P1} , {P2} , {O1} .
      ^el tiempo sigue frío y seco .
      {P1} trabaja para {O1} en {L1} .
      ^el río cerca de {L1} subió {N1} metros .
      {O1} patrocinará {M1} .
      {P1} escribió sobre {L1} y {L2} .
      ^antes de {M1} , {P1} entrenó en {L1} .
      {O1} negó la noticia .
      {C1} {N1} , {C2} {N2}
      ^el tren de {L1} a {L2} llegó tarde .
      ^nadie sabía por qué se apagaron las luces .
      {P1} dejó {C1} por {C2} .
      {L1} espera .
      {P1} espera .
      ^los aficionados de {C1} cantaron {N1} minutos , pero marcó {P1} , de {C2} .
      """,
    days: "lunes martes miércoles jueves viernes sábado domingo",
    organisations: """
      Banco de {L}
      Grupo {S}
      Universidad de {L}
      {S} e Hijos
      Diario de {L}
      Aerolíneas {S}
      {S}
      """,
    events: """
      Festival de {L}
      Premio {S}
      Abierto de {L}
      """)

  static let french = SampleLanguage(
    "fr",
    openings: """
      hier ,
      selon {O9} ,
      {D9} ,
      après les discussions à {L9} ,
      {P9} a dit :
      """,
    templates: """
      {P1} a visité {L1} {D1} .
      {P1} a rejoint {O1} en {N1} .
      {O1} a ouvert un bureau à {L1} .
      ^cette année , {M1} se tient à {L1} .
      {P1} et {P2} se sont vus à {L1} .
      {C1} a battu {C2} {N1} : {N2} .
      {L1} , {D1} ( {O1} ) .
      {P1} , originaire de {L1} , a gagné lors de {M1} .
      {P1} , à la tête de {O1} , a démissionné {D1} .
      ^les prix ont augmenté de {N1} pour cent .
      {O1} a acheté {O2} pour {N1} millions .
      ^des milliers de gens sont venus pour {M1} à {L1} .
      « ^nous sommes prêts » , a dit {P1} .
      {P1} , {P2} , {O1} .
      ^le temps reste froid et sec .
      {P1} travaille pour {O1} à {L1} .
      ^la rivière près de {L1} est montée de {N1} mètres .
      {O1} va parrainer {M1} .
      {P1} a écrit sur {L1} et {L2} .
      ^avant {M1} , {P1} a préparé la saison à {L1} .
      {O1} a démenti cette information .
      {C1} {N1} , {C2} {N2}
      ^le train de {L1} à {L2} était en retard .
      ^personne ne savait pourquoi la lumière était éteinte .
      {P1} a quitté {C1} pour {C2} .
      {L1} attend .
      {P1} attend .
      ^les supporters de {C1} ont chanté {N1} minutes , mais {P1} , de {C2} , a marqué .
      """,
    days: "lundi mardi mercredi jeudi vendredi samedi dimanche",
    organisations: """
      Banque de {L}
      Groupe {S}
      Université de {L}
      {S} et Fils
      Journal de {L}
      {S} Airlines
      {S}
      """,
    events: """
      Festival de {L}
      Prix {S}
      Open de {L}
      """)
}
